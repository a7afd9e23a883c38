"""The audio of one stream that is still needed, and when each sample arrived. Pure.

Samples are addressed by their number in the whole recording. A sample keeps its number for ever,
whatever has been dropped before it, so times stay correct.
"""

from __future__ import annotations

from bisect import bisect_left

from app.core.pcm import Pcm16

SAMPLE_BYTES = 2
ARRIVAL_RESOLUTION_S = 0.1  # frames may come every 20 ms; lag is shown in tenths of a second
TRIM_EVERY = 256


class AudioBuffer:
    """Samples [start, end) of a recording, both absolute sample numbers.

    Held as 16-bit samples: half the memory of float32, and the bytes of the WAV file that is sent.
    One second is 32 kB.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._start = 0

    @property
    def start(self) -> int:
        """The first sample still held."""
        return self._start

    @property
    def end(self) -> int:
        """One past the last sample received."""
        return self._start + len(self._data) // SAMPLE_BYTES

    def append(self, pcm: Pcm16) -> None:
        """Add samples, [n] int16, at the end."""
        self._data += pcm.tobytes()

    def read(self, start: int, end: int) -> bytes:
        """A copy of samples [start, end) as little-endian bytes.

        Raises:
            ValueError: some of the samples are not held.
        """
        if not self._start <= start <= end <= self.end:
            raise ValueError(f"samples {start}..{end} requested, {self._start}..{self.end} held. This is a bug.")
        return bytes(self._data[(start - self._start) * SAMPLE_BYTES : (end - self._start) * SAMPLE_BYTES])

    def drop_before(self, sample: int) -> int:
        """Drop everything before `sample`; returns the number of samples dropped."""
        count = max(0, min(sample, self.end) - self._start)
        del self._data[: count * SAMPLE_BYTES]
        self._start += count
        return count


class Arrivals:
    """A sparse map from sample number to arrival time, from which latencies are computed."""

    def __init__(self) -> None:
        self._ends: list[int] = []
        self._times: list[float] = []

    def add(self, end: int, now_s: float) -> None:
        """Record that all samples before `end` that are not recorded yet arrived at `now_s`."""
        if len(self._times) > 1 and now_s - self._times[-2] < ARRIVAL_RESOLUTION_S:
            self._ends[-1], self._times[-1] = end, now_s
        else:
            self._ends.append(end)
            self._times.append(now_s)

    def of(self, sample: int) -> float:
        """When `sample` arrived; the latest time if it has not, 0 before the first sample."""
        if not self._times:
            return 0.0
        return self._times[min(bisect_left(self._ends, sample + 1), len(self._times) - 1)]

    def drop_before(self, sample: int) -> None:
        """Drop entries older than `sample`, many at a time."""
        count = min(bisect_left(self._ends, sample), len(self._ends) - 1)
        if count >= TRIM_EVERY:
            del self._ends[:count], self._times[:count]
