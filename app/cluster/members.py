"""The processes of a running cluster: start, probe, signal and stop them.

What is observed (ready, alive) goes to the reconciler; the end of a process goes to the supervisor.
"""

from __future__ import annotations

import asyncio
import http.client
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Mapping

from app.cluster import redis_probe
from app.cluster.folder import make_folder
from app.cluster.layout import Layout
from app.cluster.probe import status_of
from app.cluster.process import Child, ShowLine
from app.cluster.reconciler import Kind, Member, Phase, Reconciler

STARTING_PROBE_S = 0.25
READY_PROBE_S = 2.0

Log = Callable[[str], None]
# Arguments: the member, its exit code (negative: killed by that signal), its last line of output.
OnExit = Callable[[Member, int, str], None]


class Members:
    """The processes that run now; each keeps its member's name and port."""

    def __init__(
        self,
        layout: Layout,
        reconciler: Reconciler,
        *,
        environment: Mapping[str, str],
        show_line: ShowLine,
        log: Log,
        on_exit: OnExit,
    ) -> None:
        self._layout = layout
        self._reconciler = reconciler
        self._environment = environment
        self._show_line = show_line
        self._log = log
        self._on_exit = on_exit
        self._children: dict[Member, Child] = {}

    async def start(self, member: Member, tasks: asyncio.TaskGroup) -> None:
        """Start the member's process; tasks of the group watch it until it ends.

        Raises:
            OSError: the process could not be started.
        """
        temp_dir = self._layout.temp_dir(member)
        try:
            await asyncio.to_thread(shutil.rmtree, temp_dir, ignore_errors=True)
            make_folder(self._layout.run_dir)
            temp_dir.mkdir(mode=stat.S_IRWXU)
            child = await Child.start(
                member.name,
                self._layout.command_of(member, sys.executable),
                env=self._layout.environment_of(member, self._environment),
                cwd=self._layout.root,
                show_line=self._show_line,
            )
        except OSError:
            # No process will ever exit, so the reconciler has to learn here that it must try again.
            self._reconciler.mark_exited(member, asyncio.get_running_loop().time())
            raise
        self._children[member] = child
        tasks.create_task(self._watch(member, child, tasks))

    def signal(self, member: Member, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the member does not run."""
        child = self._children.get(member)
        if child is not None:
            child.send(number)

    def any(self, kind: Kind) -> bool:
        """Return whether a process of that kind runs."""
        return any(member.kind == kind for member in self._children)

    def pids(self) -> dict[str, int]:
        """Return the process ids by member name."""
        return {member.name: child.pid for member, child in sorted(self._children.items())}

    def ports(self) -> dict[str, int]:
        """Return the loopback ports by member name."""
        return {member.name: self._layout.port_of(member) for member in sorted(self._children)}

    async def drain(self, kind: Kind, *, grace_s: float) -> None:
        """Stop every process of that kind without the reconciler; kill what still runs after `grace_s`."""
        children = {member: child for member, child in self._children.items() if member.kind == kind}
        for child in children.values():
            child.send(signal.SIGTERM)
        ends = [asyncio.create_task(child.wait()) for child in children.values()]
        try:
            if ends:
                await asyncio.wait(ends, timeout=grace_s)
        finally:
            for end in ends:
                end.cancel()
        await self._kill(children)

    async def kill(self) -> None:
        """Kill whatever runs, and wait for it to end."""
        await self._kill(dict(self._children))

    async def _kill(self, children: Mapping[Member, Child]) -> None:
        for child in children.values():
            child.send(signal.SIGKILL)
        for member, child in children.items():
            await child.wait()
            self._children.pop(member, None)

    async def _watch(self, member: Member, child: Child, tasks: asyncio.TaskGroup) -> None:
        """Probe the member until its process ends, then report that."""
        probe = tasks.create_task(self._probe(member))
        code = await child.wait()
        probe.cancel()
        self._children.pop(member, None)
        # A killed process leaves temporary files behind.
        await asyncio.to_thread(shutil.rmtree, self._layout.temp_dir(member), ignore_errors=True)
        self._on_exit(member, code, child.last_line)

    async def _probe(self, member: Member) -> None:
        loop = asyncio.get_running_loop()
        while True:
            starting = self._reconciler.phase(member) is Phase.STARTING
            status = await asyncio.to_thread(self._status, member, starting=starting)
            if status == http.client.OK and starting:
                self._reconciler.mark_ready(member, loop.time())
                self._log(f"{member.name} is ready")
            elif status is not None:
                self._reconciler.mark_alive(member, loop.time())
            await asyncio.sleep(STARTING_PROBE_S if starting else READY_PROBE_S)

    def _status(self, member: Member, *, starting: bool) -> int | None:
        """Return the status of the member's health, 200 for a Redis that answers; None without an answer. Blocking."""
        if member.kind == "redis" and self._layout.transcripts is not None:
            return http.client.OK if redis_probe.answers(self._layout.transcripts) else None
        # A collector that lives serves what is stored, also while it catches up: the start does not wait for that.
        paths = {"worker": "/health/ready" if starting else "/health/live", "collector": "/health/live"}
        return status_of("127.0.0.1", self._layout.port_of(member), paths.get(member.kind, "/health"))
