"""mtail as a child process: it counts what nginx answers, and is started again whenever it ends.

It runs the program of deploy/monitoring on nginx's second access log. The cluster does not depend on it: while it is
away nothing is counted, and nginx answers as always.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Mapping

from app.cluster.folder import make_folder
from app.cluster.layout import Layout
from app.cluster.probe import any_free_port, port_is_free
from app.cluster.process import Child, ShowLine
from app.cluster.transcripts import LOOPBACK
from app.ops.addresses import authority
from app.ops.backoff import Backoff

NAME = "mtail"
PREFERRED_PORT = 3903
START_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 2.0
STABLE_S = 60.0  # it has recovered: the next end is followed by a start at once again
SOCKET_PROBE_S = 0.02
QUIET_LINE = re.compile(r"I\d{4} ")  # a line of its log at the level of info: a start writes ten of them


class Mtail:
    """The mtail of one cluster."""

    def __init__(
        self, layout: Layout, *, environment: Mapping[str, str], show_line: ShowLine, log: Callable[[str], None]
    ) -> None:
        self._layout = layout
        self._environment = environment
        self._show_line = show_line
        self._log = log
        self._child: Child | None = None
        self._port = PREFERRED_PORT
        self._tried = asyncio.Event()

    @property
    def address(self) -> str | None:
        """Return where it serves its metrics, also while it restarts; None where it is not installed."""
        return authority(LOOPBACK, self._port) if self._layout.mtail else None

    def status(self) -> dict[str, object] | None:
        """Return its address and process id; None while it does not run."""
        if self._child is None or not self._child.running:
            return None
        return {"address": self.address, "pid": self._child.pid}

    async def run(self) -> None:
        """Start it, and again whenever it ends, until cancelled; `end` stops what then still runs.

        Returns at once where it is not installed.
        """
        if not self._layout.mtail:
            return
        loop, backoff, has_ended = asyncio.get_running_loop(), Backoff(0.5, 30.0), False
        while True:
            started_s = loop.time()
            try:
                child = await self._start()
            except OSError as error:
                self._log(f"mtail could not be started: {error}")
            else:
                self._tried.set()
                if has_ended and child.running:
                    self._log("mtail runs again")
                code = await child.wait()
                reason = f"signal {-code}" if code < 0 else f"exit code {code}"
                self._log(f"mtail has ended ({reason}): answers of nginx are not counted until it runs again")
            self._tried.set()
            has_ended = True
            if loop.time() - started_s > STABLE_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def wait_started(self) -> None:
        """Wait until it reads nginx's log, or the first try has failed."""
        if self._layout.mtail:
            await self._tried.wait()

    async def end(self) -> None:
        """Stop it."""
        if self._child is None:
            return
        self._child.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._child.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._child.send(signal.SIGKILL)
            await self._child.wait()

    async def _start(self) -> Child:
        """Return the running process, which has its socket unless it failed.

        Raises:
            OSError: it could not be started, or no port is free.
        """
        make_folder(self._layout.run_dir)
        # Another cluster, or the service of Debian's package, may have the usual port.
        if not port_is_free(LOOPBACK, self._port):
            self._port = any_free_port(LOOPBACK)
        # So that the wait below does not see what a killed one has left.
        self._layout.metrics_socket.unlink(missing_ok=True)
        script = self._layout.root / "deploy" / "monitoring" / "mtail.sh"
        command = ["sh", str(script), str(self._layout.metrics_socket), LOOPBACK, str(self._port)]
        self._child = child = await Child.start(
            NAME, command, env=self._environment, cwd=self._layout.run_dir, show_line=self._show
        )
        await self._wait_for_socket(child)
        return child

    async def _wait_for_socket(self, child: Child) -> None:
        for _ in range(int(START_TIMEOUT_S / SOCKET_PROBE_S)):
            if self._layout.metrics_socket.exists() or not child.running:
                return
            await asyncio.sleep(SOCKET_PROBE_S)

    def _show(self, name: str, line: str) -> None:
        if not QUIET_LINE.match(line):
            self._show_line(name, line)
