from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.ports import free_ports
from tests.cluster.real import FAKE, RealCluster, real_cluster


@pytest.fixture(scope="package")
def full_cluster() -> Iterator[RealCluster]:
    """A cluster of one worker with the fake model, one gateway, a Redis and a collector."""
    redis_port, collector_port = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="monitoring-test-") as data:
        words = ("--gateways", "1", "--collector", "--data", data)
        ports = ("--redis-port", str(redis_port), "--collector-port", str(collector_port))
        with real_cluster(1, FAKE, program=("-m", "app", "cluster", *words, *ports)) as cluster:
            yield cluster


@pytest.fixture
def temp() -> Iterator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="monitoring-test-") as path:
        yield Path(path)
