from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from app.cluster.process import MAX_LINE_BYTES, Child
from tests.cluster.real import running, wait_until


class Shown:
    """What was shown, line by line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        """Keep the line."""
        self.lines.append((name, line))


async def run(code: str, shown: Shown) -> Child:
    """Start Python with this code."""
    return await Child.start("worker-1", [sys.executable, "-c", code], env=os.environ, cwd=Path("/"), show_line=shown)


async def test_lines_are_shown_under_the_name():
    """Standard output and standard error, whole lines, and the last one without its end."""
    shown = Shown()
    child = await run("import sys; print('one', flush=True); sys.stderr.write('two\\nthree')", shown)
    assert await child.wait() == 0
    assert shown.lines == [("worker-1", "one"), ("worker-1", "two"), ("worker-1", "three")]
    assert child.last_line == "three"
    assert not child.running


async def test_a_line_without_an_end_is_shown_in_pieces():
    """A flood without a newline neither stops the child nor fills the memory."""
    shown = Shown()
    child = await run(f"print('x' * {3 * MAX_LINE_BYTES})", shown)
    assert await child.wait() == 0
    assert sum(len(line) for _, line in shown.lines) == 3 * MAX_LINE_BYTES
    assert max(len(line) for _, line in shown.lines) <= 2 * MAX_LINE_BYTES


async def test_bytes_that_are_no_text_are_shown_as_such():
    """A broken encoding is replaced, not raised."""
    shown = Shown()
    await (await run("import os; os.write(1, b'a\\xffb\\n')", shown)).wait()
    assert shown.lines == [("worker-1", "a\N{REPLACEMENT CHARACTER}b")]


async def test_a_signal_ends_it_and_is_told():
    """The exit code of a killed process is minus the signal; a second signal to the dead is no error."""
    child = await run("import time; time.sleep(60)", Shown())
    assert child.running
    child.send(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    child.send(signal.SIGTERM)


async def test_it_lives_in_a_session_of_its_own():
    """Ctrl-C on the terminal does not reach it."""
    shown = Shown()
    await (await run("import os; print(os.getsid(0))", shown)).wait()
    assert int(shown.lines[0][1]) != os.getsid(0)


async def test_what_it_leaves_behind_ends_with_it():
    """A killed process's own children do not outlive it: they would keep its ports."""
    shown = Shown()
    code = "import subprocess, os; print(subprocess.Popen(['sleep', '60']).pid, flush=True); os.kill(os.getpid(), 9)"
    assert await asyncio.wait_for((await run(code, shown)).wait(), 30) == -signal.SIGKILL
    await asyncio.to_thread(wait_until, lambda: not running(int(shown.lines[0][1])))
