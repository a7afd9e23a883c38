"""When words become final: pure functions from what passes heard to how many words to commit.

Five rules, all in audio time; the first that applies wins, and the largest count of the rest:
    closed   the window ends in a pause or the stream is over: everything heard is final
    agreed   two passes in a row heard the same first words (LocalAgreement-2)
    guarded  passes are far apart: what ended well before this window's end is final
    overdue  passes keep disagreeing: words of long ago are final anyway
    full     the window cannot grow: final up to its last segment end
Source: Macháček et al., "Turning Whisper into Real-Time Transcription System" (2023) for agreement;
the other rules are ours, see docs/live.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.live.policy.durations import StreamPolicy
from app.live.policy.hypothesis import Word

Reason = Literal["closed", "agreed", "guarded", "overdue", "full", "nothing"]


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass heard beyond the committed words.

    Attributes:
        words: seconds of the stream.
        start_s, end_s: the window that was sent.
        closed: nothing that was being said was cut off by the window's end.
    """

    words: tuple[Word, ...]
    start_s: float
    end_s: float
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The first `count` words are final, because of `reason`."""

    count: int
    reason: Reason


def decide(previous: Pass | None, current: Pass, policy: StreamPolicy) -> Decision:
    """How many of `current.words` are final now.

    Args:
        previous: the pass before, None if there was none since the last pause.
        current: the newest pass.
        policy: the lengths to decide by.
    """
    if current.closed:
        return Decision(len(current.words), "closed")
    settled = ended_before(current.words, current.end_s - policy.edge_s)
    options = [Decision(min(agreed(previous, current), settled), "agreed")]
    if previous is None or current.end_s - previous.end_s > policy.far_s:
        options.append(Decision(ended_before(current.words, current.end_s - policy.guard_s), "guarded"))
    options.append(Decision(ended_before(current.words, current.end_s - policy.max_wait_s), "overdue"))
    if current.end_s - current.start_s >= policy.full_s:
        options.append(Decision(last_segment_end(current.words, settled), "full"))
    best = max(options, key=lambda option: option.count)
    return best if best.count else Decision(0, "nothing")


def agreed(previous: Pass | None, current: Pass) -> int:
    """The length of the common prefix of two passes, by letters."""
    count = 0
    for before, now in zip(previous.words if previous else (), current.words, strict=False):
        if before.key != now.key:
            break
        count += 1
    return count


def ended_before(words: Sequence[Word], end_s: float) -> int:
    """How many first words had ended by `end_s`."""
    return next((index for index, word in enumerate(words) if word.end > end_s), len(words))


def last_segment_end(words: Sequence[Word], limit: int) -> int:
    """The count up to the last segment end among the first `limit` words; `limit` if there is none."""
    ends = [index + 1 for index, word in enumerate(words[:limit]) if word.ends_segment]
    return ends[-1] if ends else limit
