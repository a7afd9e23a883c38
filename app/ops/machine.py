"""How many cores and how much memory this process may use: those of the machine, or of its container."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def available_cores(
    *,
    affinity: Callable[[], int] = lambda: len(os.sched_getaffinity(0)),
    quota_file: Path = Path("/sys/fs/cgroup/cpu.max"),
) -> int:
    """Return the number of cores: the process's affinity, or the container's quota if that is less; at least 1."""
    cores = affinity()
    try:
        quota, period = quota_file.read_text(encoding="ascii").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroup v2, or "max": no quota
        return max(1, cores)


def available_bytes(limit_file: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return the machine's memory, or the container's limit if that is less."""
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine_bytes, int(limit_file.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no cgroup v2, or "max": no limit
        return machine_bytes
