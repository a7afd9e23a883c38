"""When each sample of a stream arrived, to tell how long its words have been waiting."""

from __future__ import annotations

from bisect import bisect_left

RESOLUTION_S = 0.1  # frames may come every 20 ms; lag is shown in tenths
TRIM_EVERY = 256


class Arrivals:
    """A sparse map from sample number to the time it arrived."""

    def __init__(self) -> None:
        self._ends: list[int] = []
        self._times: list[float] = []

    def add(self, end: int, now_s: float) -> None:
        """All samples before `end` that are not known yet arrived at `now_s`."""
        if len(self._times) > 1 and now_s - self._times[-2] < RESOLUTION_S:
            self._ends[-1], self._times[-1] = end, now_s
        else:
            self._ends.append(end)
            self._times.append(now_s)

    def of(self, sample: int) -> float:
        """When `sample` arrived; the newest time for one that has not, 0 before the first."""
        if not self._times:
            return 0.0
        return self._times[min(bisect_left(self._ends, sample + 1), len(self._times) - 1)]

    def drop_before(self, sample: int) -> None:
        """Forget what is older than `sample`, in strides."""
        count = min(bisect_left(self._ends, sample), len(self._ends) - 1)
        if count >= TRIM_EVERY:
            del self._ends[:count], self._times[:count]
