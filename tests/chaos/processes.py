"""What /proc says of the cluster's processes, and which temporary files there are. Blocking."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.chaos.tracks import Reading
from tests.cluster.real import RealCluster, children_of

KB = 1024
MB = 1_000_000


def read_process(pid: int, *, at_s: float, requests: int) -> Reading | None:
    """Read a process; None if it has ended."""
    try:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        )
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names only, of a folder that changes
        rss_mb = int(status["VmRSS"].split()[0]) * KB / MB
        return Reading(at_s, requests, rss_mb, descriptors, int(status["Threads"]))
    except (OSError, KeyError):  # a zombie has no memory
        return None


def children_in(status: Mapping[str, Any]) -> dict[str, int]:
    """Return the process ids of a cluster's members and of its mtail, if it has one, by name."""
    mtail = status["mtail"]
    return {**status["pids"], **({"mtail": mtail["pid"]} if mtail else {})}


def processes_of(cluster: RealCluster) -> dict[str, int]:
    """Return every process id by name: members, the supervisor, nginx and its workers.

    Raises:
        StartupError: the supervisor does not answer.
    """
    pids: dict[str, int] = {"supervisor": cluster.process.pid, **children_in(cluster.status())}
    with suppress(OSError, ValueError):
        master = int((cluster.run_dir / "nginx.pid").read_text())
        pids["nginx"] = master
        pids |= {f"nginx-worker-{number}": pid for number, pid in enumerate(children_of(master), 1)}
    return pids


def busy_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return the share of the machine's CPU time that was used between two results of `cpu_ticks`."""
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def cpu_ticks() -> tuple[int, int]:
    """Return the CPU time that all programs of the machine have used, and all there was, in ticks."""
    user, nice, system, idle, waiting, *more = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    used = user + nice + system + sum(more)
    return used, used + idle + waiting


def temporary_files(cluster: RealCluster) -> frozenset[str]:
    """Return the files in the cluster's temporary folder, without its log; sockets and folders do not count."""
    return frozenset(
        str(path.relative_to(cluster.temp)) for path in _walk(cluster.temp) if path != cluster.log and path.is_file()
    )


def _walk(folder: Path) -> Iterator[Path]:
    """Every path below a folder that changes meanwhile."""
    for name, _, files in os.walk(folder, onerror=lambda _: None):
        for file in files:
            yield Path(name) / file
