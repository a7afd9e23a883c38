"""Which stream may call the service next: as many at once as it has slots, the most urgent first.

Urgency is evaluated when a slot becomes free, not when a stream enters the queue: a stream that has
ended meanwhile moves to the front, because its client leaves soon. The number of concurrent requests
follows the service: a busy answer lowers it, other answers raise it again, up to the configured
slots. So several gateways share one service without coordination.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Urgency = tuple[bool, float]  # (not finished, arrival of its oldest speech that is not final): the lowest is next
BACK_OFF = 0.7  # factor per busy answer


@dataclass(eq=False, slots=True)
class _Waiter:
    urgency: Callable[[], Urgency]
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Scheduler:
    """Distributes the service's slots among the streams of this gateway."""

    def __init__(self, max_in_flight: int) -> None:
        self._max = max_in_flight
        self._limit = float(max_in_flight)
        self._in_flight = 0
        self._waiting: list[_Waiter] = []

    @property
    def in_flight(self) -> int:
        """Requests in flight."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Streams that wait for a slot."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, urgency: Callable[[], Urgency]) -> AsyncIterator[None]:
        """Wait for a slot and hold it; cancelling leaves the queue, or frees the slot."""
        waiter = _Waiter(urgency)
        self._waiting.append(waiter)
        self._grant()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not waiter.turn.cancelled():  # granted just before the cancellation
                self._release()
            raise
        try:
            yield
        finally:
            self._release()

    def answered(self) -> None:
        """The service took a request: allow slightly more at once."""
        self._limit = min(self._max, self._limit + 1 / self._limit)

    def refused(self) -> None:
        """The service is busy: allow fewer requests at once."""
        self._limit = max(1.0, self._limit * BACK_OFF)

    def _release(self) -> None:
        self._in_flight -= 1
        self._grant()

    def _grant(self) -> None:
        while self._waiting and self._in_flight < int(self._limit):
            waiter = min(self._waiting, key=lambda w: w.urgency())
            self._waiting.remove(waiter)
            if waiter.turn.done():  # cancelled, and its task has not run since
                continue
            self._in_flight += 1
            waiter.turn.set_result(None)
