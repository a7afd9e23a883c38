"""Run mtail as the cluster and the image do, and read what it has counted."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.cluster.front import ROOT
from tests.cluster.ports import free_ports

SCRIPT = ROOT / "deploy" / "monitoring" / "mtail.sh"
TIMEOUT_S = 10.0
SERIES = re.compile(r"^lb_requests_total\{([^}]*)\} (\d+)$", re.MULTILINE)


@dataclass(slots=True)
class Counting:
    """A mtail that reads the socket."""

    socket: Path
    port: int
    process: asyncio.subprocess.Process

    async def text(self) -> str:
        """Return its metrics."""
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{self.port}/metrics")).text

    async def requests(self) -> dict[tuple[str, str, str], int]:
        """Return `lb_requests_total` by route, status and refused, without zeros."""
        return requests_of(await self.text())

    async def until(self, condition: Callable[[dict[tuple[str, str, str], int]], bool]) -> None:
        """Wait until the counts meet the condition: nginx does not wait for mtail.

        Raises:
            AssertionError: they did not in time.
        """
        for _ in range(int(TIMEOUT_S / 0.02)):
            counts = await self.requests()
            if condition(counts):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"counted {counts}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


def requests_of(text: str) -> dict[tuple[str, str, str], int]:
    """Return `lb_requests_total` in these metrics by route, status and refused, without zeros."""
    counts = {}
    for labels, count in SERIES.findall(text):
        named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert named.keys() == {"route", "status", "refused"}
        if int(count):
            counts[named["route"], named["status"], named["refused"]] = int(count)
    return counts


@asynccontextmanager
async def counting(run_dir: Path) -> AsyncIterator[Counting]:
    """Run mtail until the block ends; nginx finds its socket in the folder."""
    path, port = run_dir / "lb.sock", free_ports(1)[0]
    with (run_dir / "mtail.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            "sh", str(SCRIPT), str(path), "127.0.0.1", str(port), stdout=log, stderr=log
        )
    try:
        await _listening(port)
        yield Counting(path, port, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _listening(port: int) -> None:
    for _ in range(int(TIMEOUT_S / 0.02)):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise AssertionError("mtail does not listen")
