"""The audio of one stream that is not yet done with, addressed by its place in the whole recording.

Held as 16-bit samples: half the memory of float32, and the bytes of the WAV that will be sent. One
second is 32 kB. A sample keeps its number for ever, whatever has been dropped before it, so times
stay true.
"""

from __future__ import annotations

from app.core.pcm import Pcm16

SAMPLE_BYTES = 2


class AudioBuffer:
    """Samples [start, end) of a recording; both are absolute sample numbers."""

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
            ValueError: a sample outside of what is held is asked for.
        """
        if not self._start <= start <= end <= self.end:
            raise ValueError(f"samples {start}..{end} asked for, {self._start}..{self.end} held. This is a bug.")
        return bytes(self._data[(start - self._start) * SAMPLE_BYTES : (end - self._start) * SAMPLE_BYTES])

    def drop_before(self, sample: int) -> int:
        """Forget everything before `sample`; returns how many samples that were."""
        count = max(0, min(sample, self.end) - self._start)
        del self._data[: count * SAMPLE_BYTES]
        self._start += count
        return count
