"""One child process whose output lines are shown under its name.

Children live in sessions of their own: Ctrl-C on the terminal reaches the supervisor alone, which then drains
in order. Should the supervisor be killed, `setpriv` (util-linux) has the kernel end the children, too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

MAX_LINE_BYTES = 1 << 20  # a longer line is shown in pieces
EXIT_POLL_S = 0.1  # of every child for its whole life: no finer than the supervisor looks

Show = Callable[[str, str], None]


class Child:
    """A running process; create it with `start`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, show: Show) -> None:
        self.name = name
        self.last_line = ""
        self._process = process
        self._show = show
        self._pump = asyncio.create_task(self._read(process.stdout))

    @classmethod
    async def start(cls, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, show: Show) -> Child:
        """Start the command.

        Raises:
            OSError: it cannot be run.
        """
        process = await asyncio.create_subprocess_exec(
            *_tied_to_parent(),
            *command,
            env=dict(env),
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE_BYTES,
            start_new_session=True,
        )
        return cls(name, process, show)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Return whether the process has not ended yet."""
        return self._process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for the end and the last line of output; return the exit code (negative: a signal).

        What the process leaves behind in its group is killed: nginx's own children would keep its ports.
        """
        # asyncio's own wait lasts until the pipe is closed, too, and the process's children may hold it open.
        while (code := self._process.returncode) is None:  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(EXIT_POLL_S)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        # Who left the group may hold the pipe open: what is not there within a second is not waited for.
        await asyncio.wait([self._pump], timeout=1.0)
        self._pump.cancel()
        return code

    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        if stream is None:
            raise AssertionError("This is a bug: the child was started without a pipe.")
        while True:
            try:
                line = await stream.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                if end.partial:
                    self._line(end.partial)
                return
            except asyncio.LimitOverrunError as too_long:
                line = await stream.readexactly(too_long.consumed)
            self._line(line)

    def _line(self, line: bytes) -> None:
        self.last_line = line.decode(errors="replace").rstrip("\r\n")
        self._show(self.name, self.last_line)


def _tied_to_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
