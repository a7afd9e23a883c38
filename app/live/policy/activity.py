"""Where in a stream there may be speech: decides when to send a request, and finds only clear silence. Pure.

A frame (20 ms) is quiet if its level is within a factor of two of the quietest frame of the last
seconds, and below -50 dBFS in any case. The level of speech changes by far more than that within a
syllable, however softly it is spoken, so quiet speech in a quiet room is active. Noise louder than
-50 dBFS is active too, which costs requests rather than words. There is no neural detector on
purpose: it would decide about words a second time, after the one of the transcription service, and
would need a model runtime in a process that otherwise only moves bytes.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ, Pcm16

FRAME_SAMPLES = 320  # 20 ms
LEAST_LEVEL = 1e-4  # -80 dBFS, three steps of 16-bit audio: anything below is silence
LOUDEST_SILENCE = 3e-3  # -50 dBFS: anything louder may be speech
ABOVE_FLOOR = 2.0  # 6 dB above the noise floor is a sound
BLOCK_FRAMES = SAMPLE_RATE_HZ // FRAME_SAMPLES  # the noise floor is the minimum over blocks of one second
FLOOR_BLOCKS = 5


class Activity:
    """One flag per 20 ms frame, addressed in absolute samples like the buffer it describes."""

    def __init__(self) -> None:
        self._flags = bytearray()
        self._first_frame = 0
        self._rest = np.zeros(0, dtype=np.int16)  # samples of an incomplete frame
        self._minima: deque[float] = deque(maxlen=FLOOR_BLOCKS)
        self._block_minimum = np.inf
        self._block_count = 0

    @property
    def end(self) -> int:
        """One past the last sample that is classified."""
        return (self._first_frame + len(self._flags)) * FRAME_SAMPLES

    def feed(self, pcm: Pcm16) -> None:
        """Classify the next samples, [n] int16."""
        samples = np.concatenate([self._rest, pcm])
        count = len(samples) // FRAME_SAMPLES
        self._rest = samples[count * FRAME_SAMPLES :]
        frames = samples[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES).astype(np.float32) / 32768.0
        for level in np.sqrt((frames**2).mean(axis=1)).tolist():  # [count]
            self._flags.append(self._is_active(level))

    def silence(self, start: int, end: int) -> None:
        """Mark the samples [start, end) as silence, whatever their level."""
        first = max(0, start // FRAME_SAMPLES - self._first_frame)
        last = min(len(self._flags), end // FRAME_SAMPLES - self._first_frame)
        if last > first:
            self._flags[first:last] = bytes(last - first)

    def drop_before(self, sample: int) -> None:
        """Drop the frames that end before `sample`."""
        count = min(len(self._flags), max(0, sample // FRAME_SAMPLES - self._first_frame))
        del self._flags[:count]
        self._first_frame += count

    def first_active(self, start: int) -> int | None:
        """The first sample of the first active frame that ends after `start`."""
        index = self._flags.find(1, max(0, start // FRAME_SAMPLES - self._first_frame))
        return None if index < 0 else max(start, (self._first_frame + index) * FRAME_SAMPLES)

    def last_active_end(self, end: int) -> int | None:
        """One past the last sample of the last active frame that starts before `end`."""
        limit = -(-end // FRAME_SAMPLES) - self._first_frame
        index = self._flags.rfind(1, 0, max(0, limit))
        return None if index < 0 else min(end, (self._first_frame + index + 1) * FRAME_SAMPLES)

    def last_quiet(self, start: int, end: int, least: int) -> int | None:
        """The middle of the last quiet run of at least `least` samples that lies in [start, end)."""
        run = -(-least // FRAME_SAMPLES)
        first = max(0, start // FRAME_SAMPLES - self._first_frame)
        last = min(len(self._flags), end // FRAME_SAMPLES - self._first_frame)
        index = self._flags.rfind(bytes(run), first, last)
        return None if index < 0 else (self._first_frame + index) * FRAME_SAMPLES + run * FRAME_SAMPLES // 2

    def active_samples(self, start: int, end: int) -> int:
        """How many samples of [start, end) lie in active frames, to the frame."""
        first = max(0, start // FRAME_SAMPLES - self._first_frame)
        last = max(0, -(-end // FRAME_SAMPLES) - self._first_frame)
        return self._flags.count(1, first, last) * FRAME_SAMPLES

    def _is_active(self, level: float) -> bool:
        self._block_minimum = min(self._block_minimum, level)
        floor = min(self._block_minimum, *self._minima) if self._minima else self._block_minimum
        self._block_count += 1
        if self._block_count == BLOCK_FRAMES:
            self._minima.append(self._block_minimum)
            self._block_minimum, self._block_count = np.inf, 0
        return level > max(LEAST_LEVEL, min(ABOVE_FLOOR * floor, LOUDEST_SILENCE))
