"""When a window is due and where it begins and ends: a pure function of what is known of the audio."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.pcm import to_samples
from app.live.policy.activity import Activity
from app.live.policy.durations import StreamPolicy
from app.live.policy.windows import WindowReason

QUIET_CUTS_S = (0.5, 0.2, 0.06)  # a backlog is cut in a pause, else between words, else at any dip


@dataclass(frozen=True, slots=True)
class WindowSpan:
    """Samples [start, end) are worth asking about."""

    start: int
    end: int
    why: WindowReason


def due_window(
    activity: Activity,
    policy: StreamPolicy,
    *,
    cut: int,
    heard_to: int,
    end: int,
    quiet: WindowReason | None,
    step_s: float,
    longest_s: float,
) -> WindowSpan | None:
    """The window that is due, for a stream with speech nobody has heard to its end.

    Args:
        activity: where in the audio there may be speech.
        policy: the lengths to decide by.
        cut: audio before this sample is done with.
        heard_to: end of the last window that was answered.
        end: one past the newest sample.
        quiet: why the speech is over, None while it goes on.
        step_s: new audio that makes an open window worth asking about.
        longest_s: no window is longer.
    """
    onset = activity.first_active(cut)
    start = max(cut, (cut if onset is None else onset) - to_samples(policy.preroll_s))
    if end - start > to_samples(longest_s):
        return _oldest_part(activity, longest_s, start)
    if quiet is not None:
        return WindowSpan(start, end, quiet)
    if trailing_silence(activity, end) >= to_samples(policy.hold_s):
        return None  # nothing new can be heard until the pause is long enough, or speech goes on
    new = end - max(heard_to, start if onset is None else onset)
    return WindowSpan(start, end, "step") if new >= to_samples(step_s) else None


def trailing_silence(activity: Activity, end: int) -> int:
    """Samples since the last sound."""
    return end - (activity.last_active_end(end) or 0)


def _oldest_part(activity: Activity, longest_s: float, start: int) -> WindowSpan:
    """More audio than one window holds: the oldest part of it, cut where nobody speaks."""
    limit = start + to_samples(longest_s)
    middle = start + to_samples(longest_s / 2)
    for quiet_s in QUIET_CUTS_S:
        cut = activity.last_quiet(middle, limit, to_samples(quiet_s))
        if cut is not None:
            return WindowSpan(start, cut, "backlog")
    return WindowSpan(start, limit, "step")
