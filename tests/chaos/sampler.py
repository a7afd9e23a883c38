"""Follow every process of the cluster, once a second. Async; what blocks runs on a thread."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from app.core.errors import StartupError
from tests.chaos.processes import processes_of, read_process, temporary_files
from tests.chaos.tracks import Observed, Reading, Track
from tests.cluster.real import RealCluster

EVERY_S = 1.0


class Sampler:
    """Reads the processes of a cluster."""

    def __init__(self, cluster: RealCluster, requests: Callable[[], int]) -> None:
        """`requests` returns how many were answered so far."""
        self.observed = Observed()
        self._cluster = cluster
        self._requests = requests

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(EVERY_S)

    async def read(self) -> None:
        """Read everything once; a supervisor that is busy is asked again the next time."""
        with contextlib.suppress(StartupError):
            readings, n_files = await asyncio.to_thread(self._read, self._requests())
            self.observed.most_files = max(self.observed.most_files, n_files)
            for name, pid, reading in readings:
                track = self.observed.tracks.setdefault((name, pid), Track(name, pid))
                track.readings.append(reading)

    def _read(self, requests: int) -> tuple[list[tuple[str, int, Reading]], int]:
        at_s = time.monotonic()
        found = []
        for name, pid in processes_of(self._cluster).items():
            reading = read_process(pid, at_s=at_s, requests=requests)
            if reading is not None:
                found.append((name, pid, reading))
        return found, len(temporary_files(self._cluster))
