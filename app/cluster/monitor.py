"""Prometheus and Alertmanager as child processes beside a local cluster, until a signal or until one of them ends."""

from __future__ import annotations

import asyncio
import signal
import stat
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus

from app.cluster.folder import check_owner, locked
from app.cluster.monitor_config import MonitorLayout, with_webhook
from app.cluster.probe import status_of
from app.cluster.process import Child, ShowLine
from app.cluster.transcripts import LOOPBACK
from app.core.errors import StartupError

NAME = "monitor"
READY_TIMEOUT_S = 60.0  # after a crash Prometheus reads its log of the last hours first
READY_PROBE_S = 0.1
STOP_TIMEOUT_S = 10.0  # Prometheus writes what it holds in memory
LAST_LINES = 5
TAKEN = "somebody watches that cluster already: stop it, or choose another --port"


class Monitor:
    """Both programs, from their start to their end."""

    def __init__(self, layout: MonitorLayout, *, show_line: ShowLine) -> None:
        self._layout = layout
        self._show_line = show_line
        self._children: list[Child] = []
        self._last_lines: dict[str, deque[str]] = {}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End both programs."""
        self._stopping.set()

    async def run(self, *, on_ready: Callable[[], None]) -> None:
        """Run both programs until `stop` is called.

        Args:
            on_ready: called once both of them answer.

        Raises:
            StartupError: the folder cannot be used, or a program could not start or has ended.
        """
        with locked(self._layout.data_dir, TAKEN):
            self._write_configurations()
            try:
                await self._start("prometheus", self._layout.prometheus_command())
                await self._start("alertmanager", self._layout.alertmanager_command())
                await self._until_ready(self._layout.alertmanager_port)
                await self._until_ready(self._layout.prometheus_port)
                if not self._stopping.is_set():
                    on_ready()
                while not self._stopping.is_set():
                    await self._check_children()
                    await asyncio.sleep(READY_PROBE_S)
            finally:
                await self._end()

    def _write_configurations(self) -> None:
        layout = self._layout
        try:
            check_owner(layout.data_dir)
            layout.data_dir.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
            routes = with_webhook((layout.files / "alertmanager.yml").read_text(), layout.webhook)
            layout.prometheus_config.write_text(layout.prometheus_configuration())
            layout.alertmanager_config.write_text(routes)
        except OSError as exc:
            raise StartupError(f"{exc.filename} cannot be used ({exc.strerror}): correct that, or set TMPDIR") from exc

    async def _start(self, name: str, command: Sequence[str]) -> None:
        self._last_lines[name] = deque(maxlen=LAST_LINES)
        try:
            child = await Child.start(name, command, env={}, cwd=self._layout.data_dir, show_line=self._show)
        except OSError as exc:
            raise StartupError(f"{command[0]} could not be started: {exc.strerror}") from exc
        self._children.append(child)

    def _show(self, name: str, line: str) -> None:
        self._last_lines[name].append(line)
        self._show_line(name, line)

    async def _until_ready(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + READY_TIMEOUT_S
        while await asyncio.to_thread(status_of, LOOPBACK, port, "/-/ready") != HTTPStatus.OK:
            await self._check_children()
            if self._stopping.is_set():
                return
            if loop.time() >= deadline_s:
                raise StartupError(
                    f"nothing answers on port {port} after {READY_TIMEOUT_S:g} s; the lines above say why"
                )
            await asyncio.sleep(READY_PROBE_S)

    async def _check_children(self) -> None:
        """Raise StartupError with the last lines of a program that has ended."""
        for child in self._children:
            if not child.running:
                code = await child.wait()
                reason = f"signal {-code}" if code < 0 else f"exit code {code}"
                lines = "".join(f"\n  {line}" for line in self._last_lines[child.name])
                raise StartupError(f"{child.name} has ended ({reason}){':' if lines else ''}{lines}")

    async def _end(self) -> None:
        for child in self._children:
            child.send(signal.SIGTERM)
        for child in self._children:
            try:
                await asyncio.wait_for(child.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                child.send(signal.SIGKILL)
                await child.wait()
