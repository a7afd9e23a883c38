from __future__ import annotations

import re
from typing import Any

import pytest

from tests.helm.chart import CI, Object, containers, named, of_kind, rendered, rendering

# How each file in ci/ gets its model, unless it is the default `download`.
SOURCES = {"pvc": "pvc", "imagevolume": "volume", "airgapped": "image"}
KINDS = {"download": "emptyDir", "pvc": "persistentVolumeClaim", "volume": "image"}


def worker(found: list[Object]) -> Object:
    """Return the specification of the workers' pod."""
    pod: Object = named(found, "Deployment", "worker")["spec"]["template"]["spec"]
    return pod


def mount(container: Object) -> dict[str, Any] | None:
    """Return the mount of /models, if there is one."""
    mounts: list[dict[str, Any]] = [each for each in container["volumeMounts"] if each["mountPath"] == "/models"]
    return mounts[0] if mounts else None


@pytest.mark.parametrize("ci", CI)
def test_the_worker_reads_the_model_from_where_its_source_puts_it(ci):
    """From the volume of its source, which it cannot change; with `image` nothing hides what the image has."""
    source = SOURCES.get(ci, "download")
    pod = worker(rendering(ci))
    volumes = {each["name"]: each.keys() - {"name"} for each in pod["volumes"]}
    if source == "image":
        assert "models" not in volumes
        assert mount(pod["containers"][0]) is None
    else:
        assert volumes["models"] == {KINDS[source]}
        assert mount(pod["containers"][0]) == {"name": "models", "mountPath": "/models", "readOnly": True}


@pytest.mark.parametrize("ci", CI)
def test_only_a_download_runs_before_the_worker(ci):
    """It fetches the worker's own settings' model for its device into the same volume, with the hub allowed."""
    source = SOURCES.get(ci, "download")
    pod = worker(rendering(ci))
    names = [each["name"] for each in pod.get("initContainers", [])]
    assert names == {"download": ["fetch-model"], "pvc": ["wait-for-model"]}.get(source, [])
    if source == "download":
        (fetch,) = pod["initContainers"]
        (serve,) = pod["containers"]
        device = {each["name"]: each.get("value") for each in serve["env"]}["DEVICE"]
        assert fetch["command"] == ["python", "-m", "app", "models", "fetch", "--for-device", device]
        assert fetch["image"] == serve["image"]
        assert fetch["envFrom"] == serve["envFrom"]
        assert {"name": "HF_HUB_OFFLINE", "value": "0"} in fetch["env"]
        assert mount(fetch) == {"name": "models", "mountPath": "/models"}


def marker(found: list[Object]) -> str:
    """Return the file for which the workers wait; the Job of the same rendering leaves it in the same claim."""
    pod = worker(found)
    (job,) = of_kind(found, "Job")
    (fetch,) = containers(job["spec"]["template"]["spec"])
    (waited,) = re.findall(r"\[ -e (\S+) \]", pod["initContainers"][0]["command"][-1])
    assert fetch["command"][-1] == f"python -m app models fetch --for-device cpu && touch {waited}"
    (claim,) = {
        each["persistentVolumeClaim"]["claimName"]
        for volumes in (pod["volumes"], job["spec"]["template"]["spec"]["volumes"])
        for each in volumes
        if each["name"] == "models"
    }
    assert claim in {each["metadata"]["name"] for each in of_kind(found, "PersistentVolumeClaim")}
    return str(waited)


def test_workers_wait_for_the_job_of_their_own_model():
    """A new model is a new Job and a new file; a setting that changes no file is not."""
    before = rendering("pvc")
    model = rendered({"settings": {"MODEL_SIZE": "large-v3"}}, "pvc")
    beam = rendered({"settings": {"BEAM_SIZE": 2}}, "pvc")
    assert marker(model) != marker(before) == marker(beam)
    names = [of_kind(found, "Job")[0]["metadata"]["name"] for found in (before, model, beam)]
    assert names[1] != names[0] == names[2]


def test_a_filled_claim_needs_no_job():
    """With `fill: false` the workers wait for nothing."""
    found = rendered({"model": {"pvc": {"existingClaim": "mine", "fill": False}}}, "pvc")
    assert of_kind(found, "Job", "PersistentVolumeClaim") == []
    assert "initContainers" not in worker(found)
    (models,) = [each for each in worker(found)["volumes"] if each["name"] == "models"]
    assert models["persistentVolumeClaim"]["claimName"] == "mine"


@pytest.mark.parametrize(("ci", "resource"), [("cuda", "nvidia.com/gpu"), ("mig", "nvidia.com/mig-1g.10gb")])
def test_a_worker_on_gpus_has_one_and_is_allowed_on_its_node(ci, resource):
    """One device of the resource that the values name, the node's label, its taint, and no CPU limit."""
    pod = worker(rendering(ci))
    limits = pod["containers"][0]["resources"]["limits"]
    assert limits.keys() == {"memory", resource}
    assert limits[resource] == 1
    assert pod["nodeSelector"]["nvidia.com/gpu.present"] == "true"
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
    assert pod["containers"][0]["image"].endswith("-cuda")


def test_the_service_tells_gateways_which_port_speaks_websocket():
    """Some close connections that are upgraded unless the port's protocol is named."""
    (public,) = [each for each in of_kind(rendering("cpu"), "Service") if each["metadata"]["name"] == "stt"]
    protocols = {port["port"]: port["appProtocol"] for port in public["spec"]["ports"]}
    assert protocols == {8083: "http", 8990: "kubernetes.io/ws"}
