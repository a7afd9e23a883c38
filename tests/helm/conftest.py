from __future__ import annotations

import platform

import pytest

from tests.cluster.conftest import run_dir
from tests.helm.chart import HELM, KUBECTL
from tools.kube.get_helm import reason_against

__all__ = ["run_dir"]


@pytest.fixture(autouse=True, scope="session")
def _programs() -> None:
    """Say why the chart cannot be tested here: no helm for this processor, or `make kube` did not run."""
    if not (HELM.is_file() and KUBECTL.is_file()):
        reason = reason_against(platform.system(), platform.machine())
        if reason is not None:
            pytest.skip(reason)
        pytest.fail(f"{HELM} is missing: run `make kube`")
