"""When each moment of a session's audio was said, as Unix time. Pure.

Second 0 is the first sample. A client that sends in real time, or a file faster than that, keeps its own
clock: second 5 was said five seconds after second 0. A client that stops sending for a minute does not:
what it sends afterwards was said when it arrived. So a moment is the later of the two.
"""

from __future__ import annotations

from bisect import bisect_right

TOLERANCE_MS = 100  # smaller deviations are the jitter of frames, not a pause
MAX_POINTS = 4096  # of a client whose frames come irregularly for hours; the oldest are forgotten


class SessionClock:
    """Maps milliseconds of one session's audio to Unix milliseconds.

    Kept are the points at which audio came later or sooner than the point before predicts; between two
    points time passes as in the audio.
    """

    def __init__(self, start_ms: int) -> None:
        """`start_ms` is the Unix time of the first sample."""
        self._start_ms = start_ms
        self._audio_ms = [0]
        self._unix_ms = [start_ms]

    @property
    def start_ms(self) -> int:
        """Unix time of the first sample."""
        return self._start_ms

    def arrived(self, audio_ms: int, now_ms: int) -> None:
        """Record that audio from `audio_ms` on arrived now; called in the order of the audio."""
        own_ms = self._start_ms + audio_ms
        said_ms = now_ms if now_ms - own_ms > TOLERANCE_MS else own_ms
        predicted_ms = self._unix_ms[-1] + audio_ms - self._audio_ms[-1]
        if abs(said_ms - predicted_ms) <= TOLERANCE_MS:
            return
        self._audio_ms.append(audio_ms)
        self._unix_ms.append(said_ms)
        if len(self._audio_ms) > MAX_POINTS:
            del self._audio_ms[: MAX_POINTS // 2], self._unix_ms[: MAX_POINTS // 2]

    def at(self, audio_ms: int) -> int:
        """When this moment was said, in Unix milliseconds."""
        last = max(0, bisect_right(self._audio_ms, audio_ms) - 1)
        return max(self._start_ms + audio_ms, self._unix_ms[last] + audio_ms - self._audio_ms[last])

    def forget_before(self, audio_ms: int) -> None:
        """Drop the points that no later moment needs."""
        count = bisect_right(self._audio_ms, audio_ms) - 1
        if count > 0:
            del self._audio_ms[:count], self._unix_ms[:count]
