"""Memory and processor time of processes during a test, from /proc; nothing on other systems."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
MIB = 1024 * 1024


class Resources:
    """Samples the resident memory and processor time of some processes."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._first: dict[str, float] = {}
        self.samples: dict[str, list[tuple[float, float, float]]] = {name: [] for name in pids}

    async def watch(self, every_s: float = 2.0) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            for name, pid in self._pids.items():
                used = usage(pid)
                if used is not None:
                    self.samples[name].append((loop.time() - started, *used))
            await asyncio.sleep(every_s)

    def summary(self) -> dict[str, dict[str, float]]:
        """Per process: memory at the start, in the middle, at the end and its maximum; processor share."""
        report = {}
        for name, rows in self.samples.items():
            if len(rows) <= 1:
                continue
            rss = [row[1] for row in rows]
            report[name] = {
                "rss_mib_first": rss[0],
                "rss_mib_middle": rss[len(rss) // 2],
                "rss_mib_last": rss[-1],
                "rss_mib_max": max(rss),
                "cpu_share": (rows[-1][2] - rows[0][2]) / max(rows[-1][0] - rows[0][0], 1e-9),
            }
        return report


def usage(pid: int) -> tuple[float, float] | None:
    """Resident MiB and processor seconds of a process; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB, (int(fields[11]) + int(fields[12])) / TICKS
