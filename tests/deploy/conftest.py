from __future__ import annotations

from tests.cluster.conftest import run_dir

__all__ = ["run_dir"]
