from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.helm.chart import ROOT, Refused, rendered
from tools.kube.chart import CHART

# Values that cannot work, and words of the sentence that says so.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"settings": {"MODEL_SIZ": "small"}}, "MODEL_SIZ"),
    ({"gateway": {"settings": {"MAX_CLIENT": 5}}}, "MAX_CLIENT"),
    ({"collector": {"settings": {"RETENTION": 5}}}, "RETENTION"),
    ({"settings": {"BEAM_SIZE": 50}}, "BEAM_SIZE"),
    ({"settings": {"BEAM_SIZE": "five"}}, "BEAM_SIZE"),
    ({"settings": {"API_KEYS": "secret"}}, "API_KEYS"),
    ({"device": "gpu"}, "device"),
    ({"worker": {"replica": 3}}, "replica"),
    ({"model": {"source": "s3"}}, "source"),
    ({"model": {"source": "pvc"}}, "model.source=pvc needs model.pvc.size"),
    ({"model": {"source": "pvc", "pvc": {"size": "5Gi", "fill": False}}}, "needs model.pvc.existingClaim"),
    ({"model": {"source": "volume"}}, "needs model.imageVolume.reference"),
    ({"model": {"source": "image"}, "settings": {"MODEL_SIZE": ""}}, "needs image.tag or image.digest"),
    ({"worker": {"resources": {"requests": {"cpu": 2}}}}, "must be the same number"),
    ({"worker": {"autoscaling": {"enabled": True, "minReplicas": 9}}}, "minReplicas is above"),
    (
        {"worker": {"autoscaling": {"enabled": True}}, "balancer": {"mtail": {"enabled": False}}},
        "needs balancer.mtail.enabled",
    ),
    ({"worker": {"extraEnv": [{"name": "PORT", "value": "1"}]}}, "worker.extraEnv sets PORT"),
    ({"collector": {"enabled": True}}, "needs redis.existingSecret"),
    ({"collector": {"enabled": True, "replicas": 2}, "redis": {"existingSecret": "redis"}}, "SQLite is one file"),
    ({"httpRoute": {"enabled": True}}, "needs httpRoute.parentRefs"),
    ({"ingress": {"enabled": True}}, "needs ingress.hosts"),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=[words for _, words in WRONG])
def test_values_that_cannot_work_are_refused(given, words):
    """Nothing is rendered, and the message names what is wrong, without a stack of templates above it."""
    with pytest.raises(Refused) as refused:
        rendered(given)
    lines = [line for line in str(refused.value).splitlines() if words in line]
    assert lines, str(refused.value)
    assert len(str(refused.value).splitlines()) <= 6, str(refused.value)
    assert "goroutine" not in str(refused.value)


@pytest.mark.parametrize("given", [{}, {"BEAM_SIZE": "3", "VAD_FILTER": "false"}], ids=["none", "as text"])
def test_right_values_are_accepted(given):
    """Numbers and truth values may be written as text, as with `--set-string`."""
    assert rendered({"settings": given})


def test_the_schema_is_the_codes():
    """values.schema.json is what the settings in the code give: `python -m tools.kube.values_schema --write`."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.kube.values_schema", "--check"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout


def test_every_value_is_in_the_schema():
    """No object of the schema takes a name that it does not list, unless it is a map of the user's own names."""
    schema = json.loads((CHART / "values.schema.json").read_text())

    def open_objects(part: dict[str, Any], path: str) -> list[str]:
        found = [path] if "properties" in part and part.get("additionalProperties", True) is not False else []
        for name, below in part.get("properties", {}).items():
            found += open_objects(below, f"{path}.{name}")
        return found

    assert open_objects(schema, "values") == []
