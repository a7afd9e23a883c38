"""CPU time and resident memory of a process tree, from Linux's /proc."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SAMPLE_EVERY_S = 0.2
# Field numbers in /proc/PID/stat, after the name in parentheses, which may contain spaces.
STATE_FIELD, PARENT, USER, SYSTEM = 3, 4, 14, 15
# Columns of the first line of /proc/stat: user nice system idle iowait irq softirq steal.
BUSY_COLUMNS = (0, 1, 2, 5, 6, 7)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time in seconds until now: of a process tree, of this process, of the whole machine."""

    tree_s: float
    driver_s: float
    machine_s: float


class Watch:
    """A context manager that samples the memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="watch", daemon=True)
        self.peak_rss_bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def usage(self) -> Usage:
        """Return the CPU time until now."""
        return Usage(
            tree_s=sum(cpu_s(pid) for pid in tree(self._pid)), driver_s=time.process_time(), machine_s=machine_cpu_s()
        )

    def _sample(self) -> None:
        while True:
            self.peak_rss_bytes = max(self.peak_rss_bytes, sum(rss_bytes(pid) for pid in tree(self._pid)))
            if self._stop.wait(SAMPLE_EVERY_S):
                return


def tree(pid: int) -> list[int]:
    """Return the ids of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for path in PROC.glob("[0-9]*"):
        fields = _stat(int(path.name))
        if fields:
            children.setdefault(int(fields[PARENT - STATE_FIELD]), []).append(int(path.name))
    return list(_descend(pid, children))


def _descend(pid: int, children: dict[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, []):
        yield from _descend(child, children)


def cpu_s(pid: int) -> float:
    """Return user and system time of one process; 0 if it has ended."""
    fields = _stat(pid)
    return (int(fields[USER - STATE_FIELD]) + int(fields[SYSTEM - STATE_FIELD])) / TICKS_PER_S if fields else 0.0


def rss_bytes(pid: int) -> int:
    """Return the resident memory of one process; 0 if it has ended."""
    try:
        return int((PROC / str(pid) / "statm").read_text("ascii").split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def machine_cpu_s() -> float:
    """Return the time in which cores were not idle, including time taken by the hypervisor."""
    columns = (PROC / "stat").read_text("ascii").splitlines()[0].split()[1:]
    return sum(int(columns[column]) for column in BUSY_COLUMNS) / TICKS_PER_S


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; empty if the process has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []
