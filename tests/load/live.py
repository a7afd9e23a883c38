"""A live client that behaves like Vexa's Python RemoteTranscriber: when it sends what, and what it loses. Pure.

Audio arrives in real time and one request is in flight. After a busy answer the client sends the newest, larger
window; when more than `CLIP_ABOVE_S` is waiting, only the last `CLIP_TO_S` is kept and the rest is lost, silently for
the speaker but not for this test.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MIN_AUDIO_S = 2.0
CLIP_ABOVE_S = 25.0
CLIP_TO_S = 5.0
BETWEEN_REQUESTS_S = 2.0
LONGEST_WAIT_S = 2.0
SHORTEST_WAIT_S = 0.5
SHORTEST_AUDIO_S = 0.1  # the service refuses less


@dataclass(frozen=True, slots=True)
class Window:
    """Audio to send, in seconds since the stream began."""

    begin_s: float
    end_s: float

    @property
    def audio_s(self) -> float:
        """Return its length."""
        return self.end_s - self.begin_s


@dataclass(slots=True)
class LiveStream:
    """One speaker; times are seconds since the stream began.

    Attributes:
        lost_s: audio that was dropped without being transcribed.
        transcribed_s: audio that was transcribed.
        lags_s: at each success, how old the oldest audio of the window was.
    """

    lost_s: float = 0.0
    transcribed_s: float = 0.0
    lags_s: list[float] = field(default_factory=list)
    _cursor_s: float = 0.0
    _quiet_until_s: float = 0.0

    def next_window(self, now_s: float) -> Window | None:
        """Return what to send now; None if it is too early. Call again after the answer."""
        waiting_s = now_s - self._cursor_s
        if waiting_s > CLIP_ABOVE_S:
            self.lost_s += waiting_s - CLIP_TO_S
            self._cursor_s = now_s - CLIP_TO_S
        if now_s < self._quiet_until_s or now_s - self._cursor_s < MIN_AUDIO_S:
            return None
        return Window(self._cursor_s, now_s)

    def served(self, window: Window, now_s: float) -> None:
        """Record a transcript: the window is done."""
        self.transcribed_s += window.audio_s
        self.lags_s.append(now_s - window.begin_s)
        self._cursor_s = window.end_s
        self._quiet_until_s = now_s + BETWEEN_REQUESTS_S

    def refused(self, now_s: float, retry_after_s: float) -> None:
        """Record a busy answer: the window stays and grows."""
        self._quiet_until_s = now_s + min(max(retry_after_s, SHORTEST_WAIT_S), LONGEST_WAIT_S)

    def last_window(self, now_s: float) -> Window | None:
        """Return what is left to send when the speaker stops, however short; None if nothing is."""
        self.next_window(now_s)  # audio that has to be clipped by now is lost
        return Window(self._cursor_s, now_s) if now_s - self._cursor_s >= SHORTEST_AUDIO_S else None

    def end(self, now_s: float) -> None:
        """Count the audio that is not transcribed by now as lost."""
        self.lost_s += max(0.0, now_s - self._cursor_s)
        self._cursor_s = now_s
