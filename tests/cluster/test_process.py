from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from app.cluster.process import MAX_LINE_BYTES, Child
from tests.cluster.real import running, wait_until


class Shown:
    """The lines that were shown."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        """Keep the line."""
        self.lines.append((name, line))


async def run(code: str, shown: Shown) -> Child:
    """Start Python with this code."""
    return await Child.start("worker-1", [sys.executable, "-c", code], env=os.environ, cwd=Path("/"), show_line=shown)


async def test_lines_are_shown_under_the_name():
    """Standard output and standard error as whole lines, including a last line without a newline."""
    shown = Shown()
    child = await run("import sys; print('one', flush=True); sys.stderr.write('two\\nthree')", shown)
    assert await child.wait() == 0
    assert shown.lines == [("worker-1", "one"), ("worker-1", "two"), ("worker-1", "three")]
    assert child.last_line == "three"
    assert not child.running


async def test_a_very_long_line_is_shown_in_pieces():
    """Endless output without a newline neither blocks the child nor fills the memory."""
    shown = Shown()
    child = await run(f"print('x' * {3 * MAX_LINE_BYTES})", shown)
    assert await child.wait() == 0
    assert sum(len(line) for _, line in shown.lines) == 3 * MAX_LINE_BYTES
    assert max(len(line) for _, line in shown.lines) <= 2 * MAX_LINE_BYTES


async def test_invalid_utf8_is_replaced():
    """Bytes that are not UTF-8 become replacement characters."""
    shown = Shown()
    await (await run("import os; os.write(1, b'a\\xffb\\n')", shown)).wait()
    assert shown.lines == [("worker-1", "a\N{REPLACEMENT CHARACTER}b")]


async def test_a_killed_process_has_a_negative_exit_code():
    """It is minus the signal; sending another signal afterwards is no error."""
    child = await run("import time; time.sleep(60)", Shown())
    assert child.running
    child.send(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    child.send(signal.SIGTERM)


async def test_it_has_its_own_session():
    """Ctrl-C on the terminal does not reach it."""
    shown = Shown()
    await (await run("import os; print(os.getsid(0))", shown)).wait()
    assert int(shown.lines[0][1]) != os.getsid(0)


async def test_its_children_end_with_it():
    """The children of a killed process are killed, too: they would keep its ports."""
    shown = Shown()
    code = "import subprocess, os; print(subprocess.Popen(['sleep', '60']).pid, flush=True); os.kill(os.getpid(), 9)"
    assert await asyncio.wait_for((await run(code, shown)).wait(), 30) == -signal.SIGKILL
    await asyncio.to_thread(wait_until, lambda: not running(int(shown.lines[0][1])))
