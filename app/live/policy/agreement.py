"""Which words become final: pure functions from hypotheses to the number of words to commit.

Five rules, all in audio time. "closed" wins if it applies; of the others, the one with most words:
    closed   the window ends in a pause or the stream has ended: all words are final
    agreed   two consecutive hypotheses begin with the same words (LocalAgreement-2)
    guarded  requests are far apart: words that end well before this window's end are final
    overdue  hypotheses keep disagreeing: words far from the window's end are final anyway
    full     the window cannot grow: words up to its last segment end are final
Source: Macháček et al., "Turning Whisper into Real-Time Transcription System" (2023) for agreement;
the other rules are ours, see docs/live.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.live.policy.hypothesis import Word
from app.live.policy.stream_policy import StreamPolicy

CommitRule = Literal["closed", "agreed", "guarded", "overdue", "full", "nothing"]

LEAST_HEARD_WORDS = 3  # fewer that only one pass found may be noise


@dataclass(frozen=True, slots=True)
class WindowHypothesis:
    """The words of one window that are not committed yet.

    Attributes:
        words: in seconds of the stream.
        start_s, end_s: the window that was sent.
        closed: the window ends in silence.
    """

    words: tuple[Word, ...]
    start_s: float
    end_s: float
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The first `count` words are final, because of `rule`."""

    count: int
    rule: CommitRule


def decide(previous: WindowHypothesis | None, current: WindowHypothesis, policy: StreamPolicy) -> Decision:
    """How many of `current.words` are final now.

    Args:
        previous: the hypothesis before, None if there was none since the last pause.
        current: the newest hypothesis.
        policy: the durations to decide by.
    """
    if current.closed:
        return Decision(len(current.words), "closed")
    complete = ended_before(current.words, current.end_s - policy.edge_s)
    options = [Decision(min(agreed(previous, current), complete), "agreed")]
    if previous is None or current.end_s - previous.end_s > policy.far_s:
        options.append(Decision(ended_before(current.words, current.end_s - policy.guard_s), "guarded"))
    options.append(Decision(ended_before(current.words, current.end_s - policy.max_wait_s), "overdue"))
    if current.end_s - current.start_s >= policy.full_s:
        options.append(Decision(last_segment_end(current.words, complete), "full"))
    best = max(options, key=lambda option: option.count)
    return best if best.count else Decision(0, "nothing")


def agreed(previous: WindowHypothesis | None, current: WindowHypothesis) -> int:
    """The length of the common prefix of two hypotheses, comparing letters and digits."""
    count = 0
    for before, now in zip(previous.words if previous else (), current.words, strict=False):
        if before.key != now.key:
            break
        count += 1
    return count


def ended_before(words: Sequence[Word], end_s: float) -> int:
    """How many words from the first on end by `end_s`."""
    return next((index for index, word in enumerate(words) if word.end > end_s), len(words))


def end_of_heard(hypothesis: WindowHypothesis | None, edge_s: float) -> float | None:
    """Where the words end that are not within `edge_s` of the window's end; None if they are too few to be trusted."""
    count = ended_before(hypothesis.words, hypothesis.end_s - edge_s) if hypothesis else 0
    return hypothesis.words[count - 1].end if hypothesis and count >= LEAST_HEARD_WORDS else None


def last_segment_end(words: Sequence[Word], limit: int) -> int:
    """The count up to the last segment end among the first `limit` words; `limit` if there is none."""
    ends = [index + 1 for index, word in enumerate(words[:limit]) if word.ends_segment]
    return ends[-1] if ends else limit
