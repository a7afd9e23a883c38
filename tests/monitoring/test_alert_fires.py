from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cluster.monitor import Monitor
from app.cluster.monitor_config import MonitorLayout
from tests.cluster.ports import free_ports
from tests.cluster.real import FAKE, RealCluster, real_cluster
from tests.monitoring.rules import FILES

DEADLINE_S = 120


class Webhook:
    """A server that keeps the alerts that are sent to it, as (status, labels)."""

    def __init__(self) -> None:
        alerts: list[tuple[str, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                alerts.extend((alert["status"], alert["labels"]) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.alerts = alerts
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/alerts"

    def names(self, status: str) -> set[str]:
        """Return the names of the alerts that came with this status."""
        return {labels["alertname"] for each, labels in self.alerts if each == status}


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A webhook that listens until the test ends."""
    running = Webhook()
    thread = threading.Thread(target=running.server.serve_forever)
    thread.start()
    yield running
    running.server.shutdown()
    thread.join()
    running.server.server_close()


def hurried(folder: Path) -> Path:
    """Copy the shipped rules and routes with shorter waits: nothing else differs."""
    folder.mkdir()
    for name, pattern, replacement in (
        ("rules.yml", r"^( +for): \w+$", r"\1: 2s"),
        ("alertmanager.yml", r"^( +group_(?:wait|interval)): \w+$", r"\1: 5s"),
    ):
        text, count = re.subn(pattern, replacement, (FILES / name).read_text(), flags=re.MULTILINE)
        assert count > 2
        # What is averaged over five minutes is averaged over ten seconds.
        (folder / name).write_text(text.replace("[5m]", "[10s]"))
    return folder


def layout(cluster: RealCluster, files: Path, webhook: str) -> MonitorLayout:
    """Watch that cluster with these files, every second."""
    prometheus_port, alertmanager_port = free_ports(2)
    return MonitorLayout(
        files=files,
        data_dir=files / "data",
        targets=cluster.run_dir / "prometheus-targets.json",
        prometheus=shutil.which("prometheus") or "",
        alertmanager=shutil.which("prometheus-alertmanager") or "",
        prometheus_port=prometheus_port,
        alertmanager_port=alertmanager_port,
        webhook=webhook,
        interval_s=1,
    )


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for as long as the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def until(condition: Any) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.1)


async def test_killed_workers_reach_a_webhook_and_inhibit_tickets(webhook, temp):
    """After kill -9 of all workers SttNoWorker arrives, no ticket does, and the end of it arrives, too.

    The supervisor would start the workers again, so it is stopped meanwhile.
    """
    with real_cluster(2, FAKE) as cluster:
        watched = layout(cluster, hurried(temp / "files"), webhook.url)

        def asked(query: str) -> list[dict[str, Any]]:
            answer = httpx.get(f"{watched.prometheus_url}/api/v1/query", params={"query": query})
            found: list[dict[str, Any]] = answer.json()["data"]["result"]
            return found

        def inhibited() -> set[str]:
            alerts = httpx.get(f"{watched.alertmanager_url}/api/v2/alerts").json()
            return {each["labels"]["alertname"] for each in alerts if each["status"]["inhibitedBy"]}

        ready = asyncio.Event()
        monitor = Monitor(watched, show_line=lambda *_: None)
        running = asyncio.create_task(monitor.run(on_ready=ready.set))
        await asyncio.wait_for(ready.wait(), DEADLINE_S)
        await until(lambda: len(asked("whisper_ready == 1")) == 2)
        assert webhook.alerts == []
        workers = [cluster.pid("worker-1"), cluster.pid("worker-2")]
        with stopped(cluster.process.pid):
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            await until(lambda: "SttNoWorker" in webhook.names("firing"))
            await until(lambda: "SttTargetDown" in inhibited())
        (page,) = {tuple(sorted(labels.items())) for _, labels in webhook.alerts}
        assert dict(page) == {"alertname": "SttNoWorker", "cluster": "local", "severity": "page"}
        # The supervisor goes on, and so do the workers.
        await until(lambda: "SttNoWorker" in webhook.names("resolved"))
        monitor.stop()
        await running
