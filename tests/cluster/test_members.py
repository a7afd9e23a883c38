from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.cluster.members import Members
from app.cluster.reconciler import Member, Phase, Reconciler
from tests.cluster.small import SERVER, STUBBORN, TIMEOUT_S, SmallLayout, small_layout

ONE = Member("worker", 1)


class Processes:
    """The members of a test, with what they reported."""

    def __init__(self, folder: Path, program: str = SERVER) -> None:
        self.layout: SmallLayout = small_layout(folder, program)
        self.reconciler = Reconciler()
        self.lines: list[str] = []
        self.exits: asyncio.Queue[tuple[Member, int, str]] = asyncio.Queue()
        self.members = Members(
            self.layout,
            self.reconciler,
            environment={},
            show_line=lambda _, line: self.lines.append(line),
            log=self.lines.append,
            on_exit=lambda *report: self.exits.put_nowait(report),
        )

    async def until_ready(self) -> None:
        """Wait until the first worker has answered that it is ready."""
        async with asyncio.timeout(TIMEOUT_S):
            while self.reconciler.phase(ONE) is not Phase.READY:
                await asyncio.sleep(0.01)

    async def exit(self) -> tuple[Member, int, str]:
        """Return the next exit report."""
        return await asyncio.wait_for(self.exits.get(), TIMEOUT_S)


@asynccontextmanager
async def started(processes: Processes) -> AsyncIterator[Processes]:
    """Start the first worker; kill what is left at the end."""
    processes.reconciler.scale("worker", 1)
    processes.reconciler.decide(0.0)
    async with asyncio.TaskGroup() as tasks:
        await processes.members.start(ONE, tasks)
        try:
            yield processes
        finally:
            await processes.members.kill()


async def test_a_started_member_is_probed_until_it_is_ready(tmp_path):
    """The reconciler learns it, the log says it, and the process is listed with its port."""
    async with started(Processes(tmp_path)) as processes:
        await processes.until_ready()
        assert "worker-1 is ready" in processes.lines
        assert processes.members.any("worker")
        assert not processes.members.any("gateway")
        assert list(processes.members.pids()) == ["worker-1"]
        assert processes.members.ports() == {"worker-1": processes.layout.worker_port}
    assert processes.members.pids() == {}


async def test_an_exit_is_reported_and_the_temporary_files_are_removed(tmp_path):
    """The report holds the exit code and the last line of output."""
    async with started(Processes(tmp_path)) as processes:
        await processes.until_ready()
        temp_dir = processes.layout.temp_dir(ONE)
        (temp_dir / "upload").touch()
        processes.members.signal(ONE, signal.SIGTERM)
        assert await processes.exit() == (ONE, 0, "drained")
        assert not temp_dir.exists()
        assert processes.members.pids() == {}
        processes.members.signal(ONE, signal.SIGTERM)  # no longer there: nothing happens


async def test_a_drain_kills_what_does_not_end_in_time(tmp_path):
    """After the grace period SIGKILL ends a process that ignores SIGTERM."""
    async with started(Processes(tmp_path, STUBBORN)) as processes:
        await processes.until_ready()
        await processes.members.drain("gateway", grace_s=0.1)
        assert processes.members.any("worker")
        await processes.members.drain("worker", grace_s=0.1)
        assert (await processes.exit())[1] == -signal.SIGKILL
        assert not processes.members.any("worker")


async def test_a_process_that_cannot_be_started_is_waited_for_by_nobody(tmp_path):
    """The error is raised, and the reconciler knows that it has to try again."""
    processes = Processes(tmp_path)
    processes.reconciler.scale("worker", 1)
    processes.reconciler.decide(0.0)
    processes.layout.run_dir.touch()
    async with asyncio.TaskGroup() as tasks:
        with pytest.raises(OSError, match="File exists"):
            await processes.members.start(ONE, tasks)
    assert processes.reconciler.phase(ONE) is Phase.WAITING
