"""A clock that tests move."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count


class FakeClock:
    """Time stands still until `advance`; sleepers wake in the order of their times."""

    def __init__(self, now_ms: int = 1_771_147_203_000) -> None:
        self.start_ms = now_ms
        self.passed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now_ms(self) -> int:
        """Unix ms."""
        return self.start_ms + round(self.passed_s * 1000)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiting = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.passed_s + seconds, next(self._order), waiting))
        await waiting

    @property
    def sleepers(self) -> int:
        """How many tasks sleep."""
        return sum(not waiting.done() for _, _, waiting in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Move the clock; whoever wakes runs until it sleeps again or waits for something else."""
        until = self.passed_s + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, waiting = heapq.heappop(self._sleepers)
            self.passed_s = max(self.passed_s, at)
            if not waiting.done():
                waiting.set_result(None)
            for _ in range(20):
                await asyncio.sleep(0)
        self.passed_s = until
