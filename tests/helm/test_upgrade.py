from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helm.api_server import api_server
from tests.helm.chart import NAMESPACE, RELEASE, Object, manifest, named, objects, rendering, values


@pytest.fixture(autouse=True)
def _nobodys_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Helm reads no cluster of the user's, and keeps nothing that it learns of this one."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "cache"))


def deployment(name: str, replicas: int) -> Object:
    """Return a Deployment of this release that runs."""
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}


def upgraded(running: list[Object], *arguments: str) -> dict[str, Any]:
    """Return the number of pods of each component, rendered for a cluster in which these Deployments run."""
    with api_server(rendering("keda"), running) as url:
        cluster = ("--dry-run=server", "--kube-apiserver", url, "--disable-openapi-validation")
        text = manifest("--values", values("keda"), *cluster, *arguments)
    found = objects(text)
    return {
        name: named(found, "Deployment", name)["spec"].get("replicas") for name in ("worker", "gateway", "balancer")
    }


def test_an_upgrade_keeps_the_number_of_pods_that_keda_has_chosen():
    """Also the first one with KEDA: without the line, the API server would set a running Deployment to 1."""
    running = [deployment("stt-worker", 7), deployment("stt-gateway", 3), deployment("stt-balancer", 9)]
    assert upgraded(running) == {"worker": 7, "gateway": 3, "balancer": 2}


def test_the_first_installation_leaves_the_number_to_keda():
    """Nothing runs yet."""
    assert upgraded([]) == {"worker": None, "gateway": None, "balancer": 2}


def test_without_keda_the_values_have_the_number():
    """Whatever runs."""
    off = "worker.autoscaling.enabled=false,gateway.autoscaling.enabled=false"
    running = [deployment("stt-worker", 7), deployment("stt-gateway", 3)]
    assert upgraded(running, "--set", off) == {"worker": 2, "gateway": 2, "balancer": 2}
