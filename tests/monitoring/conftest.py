from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.ports import free_ports
from tests.cluster.real import FAKE, RealCluster, real_cluster

JOBS = {"worker": "stt-worker", "gateway": "stt-gateway", "collector": "stt-collector"}


def write_targets(cluster: RealCluster) -> None:
    """Write the cluster's list of targets, unless its supervisor does."""
    path = cluster.run_dir / "prometheus-targets.json"
    if path.exists():
        return
    groups = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"job": JOBS[kind], "cluster": "local"}}
        for member, port in cluster.status()["ports"].items()
        if (kind := member.partition("-")[0]) in JOBS
    ]
    path.with_suffix(".new").write_text(json.dumps(groups))
    path.with_suffix(".new").replace(path)


@pytest.fixture(scope="package")
def full_cluster() -> Iterator[RealCluster]:
    """A cluster of one worker with the fake model, one gateway, a Redis and a collector."""
    redis_port, collector_port = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="monitoring-test-") as data:
        words = ("--gateways", "1", "--collector", "--data", data)
        ports = ("--redis-port", str(redis_port), "--collector-port", str(collector_port))
        with real_cluster(1, FAKE, program=("-m", "app", "cluster", *words, *ports)) as cluster:
            write_targets(cluster)
            yield cluster


@pytest.fixture
def temp() -> Iterator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="monitoring-test-") as path:
        yield Path(path)
