"""How long a client waits for the first text: from the request's head to the first segment of the engine."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.core.options import Lane
from app.core.transcript import AudioInfo, Segment


class FirstSegmentWatch:
    """Sees the events of one request, and reports its first segment once.

    Args:
        started_s: when the request's head had arrived, on `clock`.
        on_first: called with the lane of the request and the seconds since `started_s`.
        clock: seconds.
    """

    def __init__(
        self,
        started_s: float,
        on_first: Callable[[Lane, float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._started_s = started_s
        self._on_first = on_first
        self._clock = clock
        self._lane: Lane | None = None  # also once the first segment has been reported

    def see(self, event: object) -> None:
        """Take one event of the engine; the language and the lane come before any segment."""
        if isinstance(event, AudioInfo):
            self._lane = event.lane
        elif isinstance(event, Segment) and self._lane is not None:
            self._on_first(self._lane, self._clock() - self._started_s)
            self._lane = None
