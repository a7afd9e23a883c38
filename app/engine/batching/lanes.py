"""Lanes: which requests go first, in the batch queue and before the feature extraction."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.core.options import Lane, Tier

# The first goes first: live text, one-window requests, files, work that can wait.
LIVE, SHORT, LONG, DEFERRED = range(4)
LANE_NAMES: Final[tuple[Lane, ...]] = ("live", "short", "long", "deferred")


def lane_of(tier: Tier, *, short: bool) -> int:
    """The lane of a request.

    Args:
        tier: what the caller asked for. `realtime` counts for a short request only: a long file
            with it waits among the other files.
        short: the request is one window.
    """
    if tier == "deferred":
        return DEFERRED
    if not short:
        return LONG
    return LIVE if tier == "realtime" else SHORT


class LaneSemaphore:
    """A counting semaphore whose waiting threads are served by lane, and first come, first served inside a lane.

    Args:
        n_permits: threads that may be inside at once.
    """

    def __init__(self, n_permits: int) -> None:
        self._free = n_permits
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, int, threading.Event]] = []
        self._arrivals = 0

    @contextmanager
    def held(self, lane: int) -> Iterator[None]:
        """Hold a permit; blocks until it is this thread's turn."""
        self._acquire(lane)
        try:
            yield
        finally:
            self._release()

    def _acquire(self, lane: int) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Event()
            heapq.heappush(self._waiting, (lane, self._arrivals, turn))
            self._arrivals += 1
        turn.wait()

    def _release(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].set()  # the permit goes to the next thread
            else:
                self._free += 1
