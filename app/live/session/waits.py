"""How long a session that ends may wait; a stop of the gateway cuts every wait short."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Sequence
from typing import Any


class ShutdownAwareWait:
    """Waits of one session, one at a time."""

    def __init__(self) -> None:
        self._until_s = math.inf
        self._waiting: asyncio.Timeout | None = None

    @property
    def hurried(self) -> bool:
        """Has the gateway been told to stop?"""
        return self._until_s < math.inf

    def hurry(self, grace_s: float) -> None:
        """Every wait, also the one that has begun, ends `grace_s` from now at the latest; the first call counts."""
        if self.hurried:
            return
        self._until_s = asyncio.get_running_loop().time() + grace_s
        if self._waiting is not None:
            self._waiting.reschedule(min(self._waiting.when() or math.inf, self._until_s))

    async def wait(self, tasks: Sequence[asyncio.Task[Any]], limit_s: float) -> None:
        """Until one of the tasks ends, or the time is over; cancels none of them."""
        until_s = min(asyncio.get_running_loop().time() + limit_s, self._until_s)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until_s) as self._waiting:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting = None
