"""When the stages of one request ran: collected while it is served, read at its end, also if it failed.

The server adds its own stages to those of the engine. Times are those of `time.monotonic`.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

StageName = Literal["upload", "queue", "decode", "format"]

# An hour of audio takes hundreds of calls: these are kept, and the others only counted.
FIRST_CALLS: Final = 32
SLOWEST_CALLS: Final = 32


@dataclass(slots=True)
class Stage:
    """One stage; `ended_s` is None while it runs."""

    name: StageName
    started_s: float
    ended_s: float | None = None


@dataclass(frozen=True, slots=True, order=True)
class CallTimes:
    """A call of the model that had a window of this request among its rows.

    Attributes:
        number: of the call in this process; requests that share a call have the same.
        kind: encode | detect_language | generate | align.
        rows: windows in the call, of any request.
        waited_s: how long this request's window waited for the call.
    """

    number: int
    kind: str
    rows: int
    waited_s: float
    started_s: float
    ended_s: float


@dataclass(slots=True)
class StageTimes:
    """The stages of one request; may be written to from any thread.

    Attributes:
        n_windows: windows that were decoded.
        waited_s: the sum of all windows' waits for their calls.
    """

    stages: list[Stage] = field(default_factory=list)
    n_windows: int = 0
    waited_s: float = 0.0
    _first: list[CallTimes] = field(default_factory=list)
    _slowest: list[tuple[float, CallTimes]] = field(default_factory=list)  # a heap, the quickest of them first
    _numbers: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def n_calls(self) -> int:
        """Calls of the model, also those that are not in `calls`."""
        return len(self._numbers)

    @contextmanager
    def stage(self, name: StageName) -> Iterator[None]:
        """The block is this stage, however it ends."""
        stage = Stage(name, time.monotonic())
        self.stages.append(stage)
        try:
            yield
        finally:
            stage.ended_s = time.monotonic()

    def add_call(self, call: CallTimes) -> None:
        """Keep it if it is one of the first or one of the slowest; it comes once for each window of this request."""
        with self._lock:
            self.waited_s += call.waited_s
            if call.number in self._numbers:
                return
            self._numbers.add(call.number)
            if len(self._first) < FIRST_CALLS:
                self._first.append(call)
                return
            timed = call.ended_s - call.started_s, call
            if len(self._slowest) < SLOWEST_CALLS:
                heapq.heappush(self._slowest, timed)
            else:
                heapq.heappushpop(self._slowest, timed)

    def calls(self) -> list[CallTimes]:
        """The calls that were kept, in order of their beginning."""
        with self._lock:
            kept = [*self._first, *(call for _, call in self._slowest)]
        return sorted(kept, key=lambda call: call.started_s)
