"""One child process whose output lines are shown under its name.

Each child has its own session: Ctrl-C on the terminal reaches only the supervisor, which then drains in order.
If the supervisor is killed, the kernel ends the children, too (`setpriv --pdeathsig` of util-linux).
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
EXIT_POLL_S = 0.1  # every child is polled for its whole life, so no more often than the supervisor ticks

ShowLine = Callable[[str, str], None]  # the name of a process, one line of its output


class Child:
    """A running process; create it with `start`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, show_line: ShowLine) -> None:
        self.name = name
        self.last_line = ""
        self._process = process
        self._show_line = show_line
        self._reader = asyncio.create_task(self._read(process.stdout))

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, show_line: ShowLine
    ) -> Child:
        """Start the command.

        Raises:
            OSError: the command cannot be run.
        """
        process = await asyncio.create_subprocess_exec(
            *_end_with_parent(),
            *command,
            env=dict(env),
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE_BYTES,
            start_new_session=True,
        )
        return cls(name, process, show_line)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Return whether the process has not ended."""
        return self._process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for the end and the last line of output; return the exit code (negative: killed by that signal).

        Processes that remain in its group are killed: nginx's own children would keep its ports.
        """
        # Process.wait() would also wait until the pipe is closed, which the process's children may hold open.
        while (code := self._process.returncode) is None:
            await asyncio.sleep(EXIT_POLL_S)
            if self._reader.done():
                self._reader.result()  # an error while showing a line: unread output would block the child
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        # A process that left the group may hold the pipe open: do not wait for its output for longer than this.
        await asyncio.wait([self._reader], timeout=1.0)
        self._reader.cancel()
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
        self._show_line(self.name, self.last_line)


def _end_with_parent() -> list[str]:
    """Return the prefix that has the kernel send SIGTERM when the parent dies."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
