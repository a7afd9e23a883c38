"""Which stream may call the service next: as many at once as it has slots, the most urgent first.

Urgency is asked for when a turn is free, not when a stream queued up: a stream that ended meanwhile
moves to the front, because its client leaves soon. The number of calls at once follows what the
service can take: a busy answer lowers it, answers raise it again, up to the configured slots. So
several gateways share one service without knowing of each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Urgency = tuple[bool, float]  # (not finished, when its oldest open speech arrived): the least is next
BACK_OFF = 0.7


@dataclass(eq=False, slots=True)
class _Waiter:
    urgency: Callable[[], Urgency]
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Scheduler:
    """Turns at the service, for every stream of this gateway."""

    def __init__(self, max_in_flight: int) -> None:
        self._max = max_in_flight
        self._limit = float(max_in_flight)
        self._in_flight = 0
        self._waiting: list[_Waiter] = []

    @property
    def in_flight(self) -> int:
        """Calls being made now."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Streams that would call if they might."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, urgency: Callable[[], Urgency]) -> AsyncIterator[None]:
        """Wait for a turn and hold it; cancelling gives the place in the queue, or the turn, back."""
        waiter = _Waiter(urgency)
        self._waiting.append(waiter)
        self._grant()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not waiter.turn.cancelled():  # granted in the moment of the cancellation
                self._release()
            raise
        try:
            yield
        finally:
            self._release()

    def answered(self) -> None:
        """The service took a call: it may take a little more."""
        self._limit = min(self._max, self._limit + 1 / self._limit)

    def refused(self) -> None:
        """The service is full: fewer calls at once."""
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
