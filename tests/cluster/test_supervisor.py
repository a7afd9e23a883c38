from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis

from app.cluster import redis_server, supervisor
from app.cluster.balancer import Balancer
from app.cluster.reconciler import Action, Member, Reconciler
from app.cluster.supervisor import Supervisor
from app.core.errors import StartupError
from tests.cluster.small import SERVER, STUBBORN, TIMEOUT_S, small_layout, write_mtail


@dataclass
class IdleBalancer:
    """Records its calls and runs nothing."""

    child: object = "nginx"
    orders: list[str] = field(default_factory=list)
    starting: asyncio.Event | None = None

    async def route(self, members: Sequence[Member], *, slots: int) -> None:
        """Record where requests would go; with `starting` set, wait for it and fail."""
        self.orders.append(f"route {' '.join(member.name for member in members)}, {slots} slots")
        if self.starting is not None:
            await self.starting.wait()
            raise StartupError("nginx could not start")

    async def quit(self, *, grace_s: float) -> None:
        """Record the drain; it interrupts a start."""
        self.orders.append("quit")
        if self.starting is not None:
            self.starting.set()

    async def end(self) -> None:
        """Record the end."""
        self.orders.append("end")


class BrokenReconciler(Reconciler):
    """Decides as usual until `broken` is set."""

    broken = False

    def decide(self, now_s: float) -> list[Action]:
        """Return the next actions, or raise an unexpected error."""
        if self.broken:
            raise ZeroDivisionError("a bug in the reconciler")
        return super().decide(now_s)


class Running:
    """A supervisor in a task of the test, and the lines it has shown."""

    def __init__(self, folder: Path, program: str = SERVER, *, transcripts: bool = False, mtail: bool = False) -> None:
        self.layout = small_layout(folder, program, transcripts=transcripts, mtail=mtail)
        self.lines: list[str] = []
        self.reconciler = BrokenReconciler()
        self.balancer = IdleBalancer()
        self.supervisor = Supervisor(
            self.layout,
            self.reconciler,
            cast("Balancer", self.balancer),
            environment={},
            show_line=self._show,
        )
        self._ready = asyncio.Event()

    def _show(self, name: str, line: str) -> None:
        self.lines.append(f"{name}: {line}")

    def start(self) -> asyncio.Task[int]:
        """Run one worker and one gateway."""
        return asyncio.create_task(self.supervisor.run(workers=1, gateways=1, on_ready=self._ready.set))

    async def ready(self) -> None:
        """Wait until the cluster serves."""
        await asyncio.wait_for(self._ready.wait(), TIMEOUT_S)


async def test_a_signal_drains_gateways_then_nginx_then_workers(tmp_path):
    """SIGTERM ends a cluster in order and with exit code 0."""
    running = Running(tmp_path)
    task = running.start()
    await running.ready()
    running.supervisor.handle_signal(signal.SIGTERM)
    assert await asyncio.wait_for(task, TIMEOUT_S) == 0
    assert [line for line in running.lines if line.endswith(": drained")] == [
        "gateway-1: drained",
        "worker-1: drained",
        "cluster: drained",
    ]
    assert running.balancer.orders[-2:] == ["quit", "end"]


async def test_mtail_runs_from_before_nginx_until_after_it(tmp_path):
    """So that no answer is missing from its counts; the status has its address, and Prometheus' list every member."""
    write_mtail(tmp_path)
    running = Running(tmp_path, mtail=True)
    running.balancer.orders = running.lines  # one list: the order of everything
    task = running.start()
    await running.ready()
    assert cast("dict[str, str]", running.supervisor.status()["mtail"])["address"].startswith("127.0.0.1:")
    jobs = [group["labels"]["job"] for group in json.loads(running.layout.targets_file.read_text())]
    assert jobs == ["stt-balancer", "stt-gateway", "stt-worker"]
    running.supervisor.handle_signal(signal.SIGTERM)
    assert await asyncio.wait_for(task, TIMEOUT_S) == 0
    events = ("mtail: serving", "route worker-1, 1 slots", "quit", "end", "mtail: ended")
    order = [next(n for n, line in enumerate(running.lines) if line.startswith(event)) for event in events]
    assert order == sorted(order)
    assert running.supervisor.status()["mtail"] is None


async def test_a_bug_ends_mtail_too(tmp_path):
    """Whatever fails, it outlives nginx and nothing is left running."""
    write_mtail(tmp_path)
    running = Running(tmp_path, mtail=True)
    task = running.start()
    await running.ready()
    running.reconciler.broken = True
    assert await asyncio.wait_for(task, TIMEOUT_S) == 70
    assert running.lines[-1] == "mtail: ended"


@pytest.fixture
def storing(tmp_path: Path) -> Iterator[Running]:
    """Give a cluster that stores transcripts: one worker, one gateway, a collector and a real Redis."""
    running = Running(tmp_path, transcripts=True)
    assert running.layout.transcripts is not None
    with redis_server.prepared(running.layout.transcripts):
        yield running


def first(lines: Sequence[str], text: str) -> int:
    """Return the number of the first line with that text."""
    return next(number for number, line in enumerate(lines) if text in line)


async def test_transcripts_are_stored_from_the_first_stream_to_the_last(storing):
    """Redis is ready before the gateways, and stops after the collector, which stops after them."""
    task = storing.start()
    await storing.ready()
    assert first(storing.lines, "redis-1 is ready") < first(storing.lines, "gateway-1 is ready")
    assert storing.supervisor.status()["collector"] is True
    assert list(cast("dict[str, int]", storing.supervisor.status()["pids"])) == [
        "collector-1", "gateway-1", "redis-1", "worker-1",
    ]  # fmt: skip
    storing.supervisor.handle_signal(signal.SIGTERM)
    assert await asyncio.wait_for(task, TIMEOUT_S) == 0
    ends = ("gateway-1: drained", "collector-1: drained", "bye bye", "worker-1: drained", "cluster: drained")
    order = [first(storing.lines, end) for end in ends]
    assert order == sorted(order)
    assert not any("not everything is stored" in line for line in storing.lines)


async def test_what_is_not_stored_does_not_delay_the_end_for_long(storing, monkeypatch):
    """The collector is behind: the log says that Redis keeps the rest, and everything stops in order."""
    monkeypatch.setattr(supervisor, "CATCH_UP_S", 0.2)
    task = storing.start()
    await storing.ready()
    assert storing.layout.transcripts is not None
    async with Redis.from_url(storing.layout.transcripts.url_of_redis) as redis:
        await redis.xgroup_create("segments", "readers", id="0", mkstream=True)
        await redis.xadd("segments", {"payload": "{}"})
    storing.supervisor.handle_signal(signal.SIGTERM)
    assert await asyncio.wait_for(task, TIMEOUT_S) == 0
    assert "cluster: not everything is stored yet: Redis keeps the rest, and the next start stores it" in storing.lines


async def test_a_bug_drains_what_stores_transcripts_too(storing):
    """In the same order, without the reconciler."""
    task = storing.start()
    await storing.ready()
    storing.reconciler.broken = True
    assert await asyncio.wait_for(task, TIMEOUT_S) == 70
    order = [first(storing.lines, end) for end in ("gateway-1: drained", "collector-1: drained", "bye bye")]
    assert order == sorted(order)


async def test_a_signal_while_nginx_starts_is_a_drain_like_any_other(tmp_path):
    """A stop before nginx serves is not a failed start: the exit code is 0."""
    running = Running(tmp_path)
    running.balancer.starting = asyncio.Event()
    task = running.start()
    async with asyncio.timeout(TIMEOUT_S):
        while not running.balancer.orders:
            await asyncio.sleep(0.01)
    running.supervisor.handle_signal(signal.SIGTERM)
    assert await asyncio.wait_for(task, TIMEOUT_S) == 0


async def test_a_bug_in_a_task_is_logged_and_drains_the_cluster(tmp_path):
    """An unexpected exception is shown with its traceback, every process drains, and the exit code is 70."""
    running = Running(tmp_path)
    task = running.start()
    await running.ready()
    running.reconciler.broken = True
    assert await asyncio.wait_for(task, TIMEOUT_S) == 70
    log = "\n".join(running.lines)
    assert "ZeroDivisionError: a bug in the reconciler" in log
    assert "Traceback" in log
    assert [line for line in running.lines if line.endswith(": drained")] == [
        "gateway-1: drained",
        "worker-1: drained",
        "cluster: drained",
    ]
    assert running.balancer.orders[-2:] == ["quit", "end"]


async def test_a_bug_while_starting_ends_the_start(tmp_path):
    """The exit code is 70, and no member was started."""
    running = Running(tmp_path)
    running.reconciler.broken = True
    assert await asyncio.wait_for(running.start(), TIMEOUT_S) == 70
    assert not any("worker-1" in line for line in running.lines)


async def test_a_bug_ends_a_scaling_order_too(tmp_path):
    """An order that can no longer be carried out returns with an error instead of waiting for ever."""
    running = Running(tmp_path)
    task = running.start()
    await running.ready()
    order = asyncio.create_task(running.supervisor.scale("worker", 2))
    await asyncio.sleep(0)
    running.reconciler.broken = True
    with pytest.raises(Exception, match="draining"):
        await asyncio.wait_for(order, TIMEOUT_S)
    assert await asyncio.wait_for(task, TIMEOUT_S) == 70


async def test_a_signal_ends_the_drain_after_a_bug(tmp_path):
    """A member that ignores SIGTERM does not keep the cluster: a signal kills what is left, with exit code 70."""
    running = Running(tmp_path, STUBBORN)
    task = running.start()
    await running.ready()
    running.reconciler.broken = True
    async with asyncio.timeout(TIMEOUT_S):
        while not any(line.endswith("gateway-1: drained") for line in running.lines):
            await asyncio.sleep(0.01)
    running.supervisor.handle_signal(signal.SIGTERM)
    assert await asyncio.wait_for(task, TIMEOUT_S) == 70
    assert running.supervisor.status()["pids"] == {}
