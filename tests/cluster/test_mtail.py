"""mtail beside a cluster: with a small stand-in for its script, and with the real one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.cluster import mtail
from app.cluster.layout import Layout
from app.cluster.mtail import Mtail
from tests.cluster.clients import audio, new_client, post
from tests.cluster.counting import requests_of
from tests.cluster.front import until
from tests.cluster.real import FAKE, RealCluster, real_cluster, running, wait_until
from tests.cluster.small import MTAIL, write_mtail


@dataclass
class Running:
    """A mtail of a layout whose script is `script`, and what was shown of it."""

    layout: Layout
    lines: list[str] = field(default_factory=list)

    def show(self, name: str, line: str) -> None:
        """Keep a line of its output."""
        self.lines.append(f"{name}: {line}")

    def log(self, line: str) -> None:
        """Keep a line of the cluster's log."""
        self.lines.append(line)


@asynccontextmanager
async def started(folder: Path, script: str) -> AsyncIterator[tuple[Mtail, Running]]:
    """Run it in that folder until the block ends."""
    write_mtail(folder, script)
    shown = Running(Layout(root=folder, run_dir=folder / "run", mtail=True))
    child = Mtail(shown.layout, environment=os.environ, show_line=shown.show, log=shown.log)
    task = asyncio.create_task(child.run())
    try:
        async with asyncio.timeout(20):
            await child.wait_started()
        yield child, shown
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await child.end()


def pid_of(child: Mtail) -> int:
    """Return its process id."""
    status = child.status()
    assert status is not None
    return int(str(status["pid"]))


async def test_it_is_ready_when_its_socket_is_there(tmp_path):
    """Nginx may start then; its messages of the level info are not shown; it ends when it is told to."""
    async with started(tmp_path, MTAIL) as (child, shown):
        assert shown.layout.metrics_socket.exists()
        assert child.status() == {"address": child.address, "pid": pid_of(child)}
    assert child.status() is None
    assert [line for line in shown.lines if "started on" in line] == []
    assert shown.lines[-1] == "mtail: ended"


async def test_a_killed_one_is_started_again(tmp_path):
    """The log says what is missing meanwhile, and when that is over; the address stays, for Prometheus to report it."""
    async with started(tmp_path, MTAIL) as (child, shown):
        first, address = pid_of(child), child.address
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.status() is None)
        assert child.address == address
        await until(lambda: child.status() is not None and pid_of(child) != first)
        await until(lambda: "mtail runs again" in shown.lines)
    assert "mtail has ended (signal 9): answers of nginx are not counted until it runs again" in shown.lines


async def test_a_port_in_use_is_avoided(tmp_path, monkeypatch):
    """Another cluster, or the service of Debian's package, has the usual port: a free one is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(mtail, "PREFERRED_PORT", taken.getsockname()[1])
        async with started(tmp_path, MTAIL) as (child, shown):
            assert child.address != f"127.0.0.1:{taken.getsockname()[1]}"
            await until(lambda: f"mtail: serving on {str(child.address).rpartition(':')[2]}" in shown.lines)


async def test_one_that_fails_does_not_hold_up_the_cluster(tmp_path):
    """The cluster starts without it, and its last words are shown."""
    async with started(tmp_path, "echo no; exit 3") as (_, shown):
        await until(lambda: "mtail has ended (exit code 3): answers of nginx are not counted until it runs again"
                    in shown.lines)  # fmt: skip
        assert "mtail: no" in shown.lines


async def test_without_the_program_nothing_runs(tmp_path):
    """Nothing is waited for, and there is no address."""
    child = Mtail(Layout(root=tmp_path, run_dir=tmp_path), environment={}, show_line=print, log=print)
    await child.run()
    await child.wait_started()
    await child.end()
    assert child.address is None
    assert child.status() is None


def targets_of(cluster: RealCluster) -> dict[str, list[str]]:
    """Return the addresses in the list for Prometheus, by job."""
    groups = json.loads((cluster.run_dir / "prometheus-targets.json").read_text())
    assert {group["labels"]["cluster"] for group in groups} == {"local"}
    return {group["labels"]["job"]: group["targets"] for group in groups}


async def test_a_cluster_counts_and_lists_what_can_be_scraped():
    """Real nginx and mtail: a killed mtail disturbs no request and is started again; the list follows every change."""
    with real_cluster(1, FAKE) as cluster:
        status = await asyncio.to_thread(cluster.order, "status")
        address, first = status["mtail"]["address"], status["mtail"]["pid"]
        targets = targets_of(cluster)
        assert targets["stt-balancer"] == [address]
        assert targets["stt-worker"] == [f"127.0.0.1:{status['ports']['worker-1']}"]
        async with new_client() as client:

            async def counts() -> dict[tuple[str, str, str], int]:
                try:
                    return requests_of((await client.get(f"http://{address}/metrics")).text)
                except httpx.ConnectError:  # it has just been started
                    return {}

            async def transcribe() -> int:
                return (await post(client, cluster.transcriptions, audio("en-00"))).status

            for job in ("stt-balancer", "stt-worker"):
                assert (await client.get(f"http://{targets[job][0]}/metrics")).status_code == 200
            assert await transcribe() == 200
            async with asyncio.timeout(20):
                while await counts() != {("audio", "200", "no"): 1}:
                    await asyncio.sleep(0.02)
            os.kill(first, signal.SIGKILL)
            assert [await transcribe() for _ in range(5)] == [200] * 5
            await asyncio.to_thread(wait_until, lambda: (cluster.status()["mtail"] or {"pid": first})["pid"] != first)
            # Each process of nginx loses one line before it sees that mtail is new.
            async with asyncio.timeout(20):
                while not await counts():
                    assert await transcribe() == 200
            await asyncio.to_thread(cluster.order, "scale", "2")
            assert len(targets_of(cluster)["stt-worker"]) == 2
            await asyncio.to_thread(cluster.order, "scale", "1", "--gateways", "1")
            targets = targets_of(cluster)
            assert [len(targets[job]) for job in ("stt-worker", "stt-gateway")] == [1, 1]
            assert (await client.get(f"http://{targets['stt-gateway'][0]}/metrics")).status_code == 200
        second = cluster.status()["mtail"]["pid"]
        assert cluster.stop() == 0
        assert not running(second)
        assert "lb.sock" not in cluster.log.read_text()


def test_a_cluster_without_mtail_says_what_is_missing(tmp_path):
    """It runs as before: nothing is counted, and one line says so."""
    for name in ("sh", "setpriv", "awk", "nginx", "dirname", "tr"):
        if found := shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin"):
            (tmp_path / name).symlink_to(found)
    with real_cluster(1, {**FAKE, "PATH": str(tmp_path)}) as cluster:
        assert cluster.status()["mtail"] is None
        assert "stt-balancer" not in targets_of(cluster)
        assert "requests that nginx refuses are not counted: install mtail (make packages)" in cluster.log.read_text()
        assert "syslog" not in (cluster.run_dir / "nginx.conf").read_text()
