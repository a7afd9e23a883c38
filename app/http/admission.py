"""Admission control: a fixed number of slots, and a bounded queue for them.

A permit is an argument of the engine, so nothing reaches the model without one. The early check
(`refusal`) is cheap and runs before a body is read; the permit itself is taken afterwards, so a slow
upload holds no slot. A 503 promises that no work was done, so proxies may retry on another worker.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from app.core.errors import NotReady, Overloaded, RetryLater, ShuttingDown
from app.core.options import Tier
from app.http.retry_after import RetryAfterEstimator
from app.http.slot_use import SlotUse


class Permit:
    """The right to use one slot until `release`; releasing twice is harmless."""

    def __init__(self, admission: Admission, *, since_s: float) -> None:
        self._admission: Admission | None = admission
        self.since_s = since_s

    def release(self) -> None:
        """Return the slot; the request that has waited longest gets it."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.give_back(self)


class Admission:
    """Slots, a bounded queue, and two states in which nothing is admitted: loading and draining.

    Lives on the event loop: no method may be called from another thread.

    Args:
        on_waited: called with the tier and the seconds of each wait for a slot when it ends, also if the caller left
            or was refused in the end; a request that is refused at once has not waited.
    """

    def __init__(
        self,
        *,
        slots: int,
        max_queue: int,
        fail_fast: bool,
        retry_after_s: int,
        on_waited: Callable[[Tier, float], None] = lambda _tier, _seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slots = slots
        self.use = SlotUse(clock)
        self._on_waited = on_waited
        self._max_queue = 0 if fail_fast else max_queue
        self._retry_after = RetryAfterEstimator(floor_s=retry_after_s)
        self._clock = clock
        self._held: set[Permit] = set()
        self._waiting: deque[asyncio.Future[Permit]] = deque()
        self._open = False
        self._draining = False

    @property
    def active(self) -> int:
        """Slots in use."""
        return len(self._held)

    @property
    def queued(self) -> int:
        """Requests waiting for a slot."""
        return sum(not waiter.done() for waiter in self._waiting)

    @property
    def ready(self) -> bool:
        """True while new work is accepted; a busy worker is ready."""
        return self._open and not self._draining

    @property
    def draining(self) -> bool:
        """True once the process is stopping."""
        return self._draining

    def open(self, *, slots: int | None = None) -> None:
        """Start admitting requests: the model is warm. `slots` replaces the initial number."""
        if slots is not None:
            self.slots = slots
        self._open = True

    def drain(self) -> None:
        """Admit nothing more: waiting requests are refused, running ones continue."""
        self._draining = True
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(self._shutting_down())

    def refusal(self, tier: Tier = "standard") -> RetryLater | None:
        """Why a request of this tier would be refused now; None if it may be admitted."""
        if self._draining:
            return self._shutting_down()
        if not self._open:
            return NotReady("The model is still loading. Retry shortly.", retry_after_s=2)
        if self.active >= self.slots and self.queued >= self._max_queue:
            return Overloaded(
                f"All {self.slots} transcription slots are busy. Retry shortly.",
                retry_after_s=self._retry_after_s(tier),
            )
        return None

    async def acquire(self, tier: Tier = "standard") -> Permit:
        """Take a slot, waiting in the queue if the configuration allows it.

        Cancelling the wait leaves the queue at once.

        Raises:
            Overloaded, NotReady, ShuttingDown: no slot was taken.
        """
        refusal = self.refusal(tier)
        if refusal is not None:
            raise refusal
        if self.active < self.slots:
            self._on_waited(tier, 0.0)
            return self._grant()
        began_s = self._clock()
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()  # granted in the same loop iteration in which the caller was cancelled
            raise
        finally:
            self._on_waited(tier, self._clock() - began_s)
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def give_back(self, permit: Permit) -> None:
        """Called by a permit: its slot goes to the request that has waited longest, or becomes free."""
        self._held.remove(permit)
        self.use.give_back()
        self._retry_after.finished(self._clock() - permit.since_s)
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(self._grant())
                return

    def _grant(self) -> Permit:
        permit = Permit(self, since_s=self._clock())
        self._held.add(permit)
        self.use.take()
        return permit

    def _retry_after_s(self, tier: Tier) -> int:
        now_s = self._clock()
        held_s = sum(now_s - permit.since_s for permit in self._held) / max(self.active, 1)
        return self._retry_after.retry_after_s(slots=self.slots, queued=self.queued, held_s=held_s, tier=tier)

    def _shutting_down(self) -> ShuttingDown:
        return ShuttingDown("The server is shutting down. Retry shortly.", retry_after_s=1)
