from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from app.cluster.balancer import Balancer
from app.cluster.reconciler import Action, Member, Reconciler
from app.cluster.supervisor import Supervisor
from app.core.errors import StartupError
from tests.cluster.small import SERVER, STUBBORN, TIMEOUT_S, small_layout


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

    def __init__(self, folder: Path, program: str = SERVER) -> None:
        self.lines: list[str] = []
        self.reconciler = BrokenReconciler()
        self.balancer = IdleBalancer()
        self.supervisor = Supervisor(
            small_layout(folder, program),
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
