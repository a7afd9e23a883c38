"""Windows: when one is due, where it begins and ends, and what a stream exchanges with its caller. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.core.pcm import SAMPLE_RATE_HZ, to_samples
from app.live.policy.activity import Activity
from app.live.policy.agreement import CommitRule
from app.live.policy.segmenting import Segment
from app.live.policy.stream_policy import StreamPolicy

BACKLOG_CUTS_S = (0.5, 0.2, 0.06)  # a backlog is cut at a pause, else between words, else at any dip
MIN_LONGEST_S = 6.0  # timeouts shorten windows down to this: enough for a sentence
LONGER = 1.25  # each answer lengthens them by this factor; doubling would time out again every other time

WindowReason = Literal["step", "pause", "idle", "backlog", "end"]


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """The audio of one request: samples [start, end) as little-endian 16-bit bytes.

    Attributes:
        reason: what made it due. Unless it is "step", the window's end cuts no speech off, so all
            words recognised in it are final.
        language: the hint to send; None lets the service detect the language.
        vad_filter: False asks again for audio in which the service found no words, without its voice activity
            detection.
    """

    number: int
    start: int
    end: int
    pcm: bytes
    reason: WindowReason
    prompt: str
    language: str | None
    vad_filter: bool = True

    @property
    def closed(self) -> bool:
        """Are all words recognised in it final?"""
        return self.reason != "step"

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Update:
    """What changed for the client.

    Attributes:
        completed: new final segments, oldest first.
        partial: the segment being spoken; None if there is none.
        language: (code, probability), once per stream, if the client asked for detection.
        rule: the rule that committed words.
        commit_latency_s: for each newly committed word, the time since its last sample arrived.
    """

    completed: tuple[Segment, ...] = ()
    partial: Segment | None = None
    language: tuple[str, float] | None = None
    rule: CommitRule = "nothing"
    commit_latency_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowSpan:
    """Samples [start, end) of the next window."""

    start: int
    end: int
    reason: WindowReason


class WindowPacing:
    """How much new audio the next window needs, and how long it may be."""

    def __init__(self, policy: StreamPolicy) -> None:
        self._policy = policy
        self._longest_s = policy.max_window_s
        self.n_empty = 0  # requests in a row that found no words

    @property
    def longest_s(self) -> float:
        """The longest window, in seconds; less than the policy's after timeouts."""
        return self._longest_s

    @property
    def step_s(self) -> float:
        """New audio for an open window; more while requests find no words, because noise deserves fewer."""
        backoff_s = self._policy.step_s * 2.0 ** max(0, self.n_empty - 1)
        return max(self._policy.step_s, min(backoff_s, self._policy.empty_backoff_s))

    def timed_out(self) -> None:
        """A request timed out: the service may be too slow for windows of this length."""
        self._longest_s = max(MIN_LONGEST_S, self._longest_s / 2)

    def answered(self, *, empty: bool) -> None:
        """A request was answered, with no words if `empty`."""
        self.n_empty = self.n_empty + 1 if empty else 0
        self._longest_s = min(self._policy.max_window_s, LONGER * self._longest_s)

    def is_full(self, window: LiveWindow) -> bool:
        """Can it grow no further? Then it must commit something, or the same request would be sent again."""
        return window.duration_s >= self._longest_s - self._policy.step_s


def due_window(
    activity: Activity,
    policy: StreamPolicy,
    *,
    cut: int,
    transcribed_to: int,
    end: int,
    quiet: WindowReason | None,
    pacing: WindowPacing,
) -> WindowSpan | None:
    """The window that is due, for a stream with speech that is not transcribed to its end.

    Args:
        activity: where in the audio there may be speech.
        policy: the durations to decide by.
        cut: audio before this sample is no longer needed.
        transcribed_to: end of the last window that was answered.
        end: one past the newest sample.
        quiet: why the speech is over; None while it continues.
        pacing: how much new audio is needed, and how long a window may be.
    """
    onset = activity.first_active(cut)
    start = max(cut, (cut if onset is None else onset) - to_samples(policy.preroll_s))
    if end - start > to_samples(pacing.longest_s):
        return _oldest_part(activity, pacing.longest_s, start)
    if quiet is not None:
        return WindowSpan(start, end, quiet)
    if trailing_silence(activity, end) >= to_samples(policy.hold_s):
        return None  # silence adds no words: wait until the pause is long enough or speech continues
    new = end - max(transcribed_to, start if onset is None else onset)
    return WindowSpan(start, end, "step") if new >= to_samples(pacing.step_s) else None


def trailing_silence(activity: Activity, end: int) -> int:
    """Samples since the last sound."""
    return end - (activity.last_active_end(end) or 0)


def _oldest_part(activity: Activity, longest_s: float, start: int) -> WindowSpan:
    """The oldest part of a backlog that is longer than one window, cut where nobody speaks if possible."""
    limit = start + to_samples(longest_s)
    middle = start + to_samples(longest_s / 2)
    for quiet_s in BACKLOG_CUTS_S:
        cut = activity.last_quiet(middle, limit, to_samples(quiet_s))
        if cut is not None:
            return WindowSpan(start, cut, "backlog")
    return WindowSpan(start, limit, "step")
