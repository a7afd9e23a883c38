from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.cluster.real import RealCluster, wait_until
from tests.monitoring.rules import ROOT, alerts


@contextmanager
def monitor(cluster: RealCluster) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `python -m app monitor` beside a cluster; yield the address of its Prometheus, and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "monitor", "--port", str(cluster.port)],
        cwd=ROOT, env=dict(cluster.env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"Prometheus: +(http://[\d.:]+) ", line):
                yield found[1], process
                break
        else:
            raise AssertionError("it ended without an address")
    finally:
        process.terminate()
        process.communicate(timeout=30)


def answer(url: str, path: str, **query: str) -> Any:
    """Return what Prometheus' API answers."""
    body = httpx.get(f"{url}/api/v1/{path}", params=query).json()
    assert body["status"] == "success", body
    return body["data"]


def test_every_target_of_a_cluster_is_up_within_half_a_minute(full_cluster):
    """Each process and mtail have their jobs and the cluster's name; Ctrl-C ends everything with exit code 0."""
    begun_s = time.monotonic()
    with monitor(full_cluster) as (url, process):
        expected = {"stt-worker", "stt-gateway", "stt-collector", "stt-balancer"}

        def all_up() -> bool:
            targets = answer(url, "targets")["activeTargets"]
            up = {target["labels"]["job"] for target in targets if target["health"] == "up"}
            return expected <= up and all(target["health"] == "up" for target in targets)

        wait_until(all_up)
        assert time.monotonic() - begun_s < 30
        labels = {target["labels"]["cluster"] for target in answer(url, "targets")["activeTargets"]}
        assert labels == {"local"}
        names = {rule["name"] for group in answer(url, "rules")["groups"] for rule in group["rules"]}
        assert {alert["alert"] for alert in alerts()} <= names
        assert answer(url, "query", query="sum by (cluster) (whisper_ready)")["result"][0]["value"][1] == "1"
        wait_until(lambda: len(answer(url, "alertmanagers")["activeAlertmanagers"]) == 1)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_every_rule_can_be_evaluated_and_none_fires(full_cluster):
    """On the series of a healthy cluster; the rules of the month are evaluated every five minutes only."""
    with monitor(full_cluster) as (url, _):
        wait_until(lambda: bool(answer(url, "query", query="whisper_ready == 1")["result"]))

        def evaluated() -> bool:
            groups = [group for group in answer(url, "rules")["groups"] if group["name"] != "stt-slo-month"]
            healths = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
            assert "err" not in healths.values(), healths
            return set(healths.values()) == {"ok"}

        wait_until(evaluated)
        assert answer(url, "query", query='ALERTS{alertstate="firing"}')["result"] == []
