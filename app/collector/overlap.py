"""Which segments repeat what another one says. Pure.

Producers without segment ids send a stretch of speech again with other times when they hear it anew, so both
segments reach the database. The one that says less is hidden, never deleted.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Self

from app.core.text_breaks import is_unspaced

_TOLERANCE_MS: Final = 50  # how far a segment may reach beyond the one that contains it
_MAX_TAIL_WORDS: Final = 2
_MAX_TAIL_MS: Final = 1500
_ASCII_MARKS: Final = {code: None for code in range(128) if not chr(code).isalnum() and not chr(code).isspace()}


@dataclass(frozen=True, slots=True)
class LegacySegment:
    """A segment without an id of its producer.

    Attributes:
        key: its identity within the session.
        start_ms, end_ms: since the session's second 0.
        completed: final, else a draft.
    """

    key: str
    start_ms: int
    end_ms: int
    text: str
    speaker: str | None = None
    completed: bool = True


@dataclass(frozen=True, slots=True)
class _Candidate:
    segment: LegacySegment
    words: tuple[str, ...]
    letters: str

    @classmethod
    def of(cls, segment: LegacySegment) -> Self:
        words = _words(segment.text)
        return cls(segment, words, "".join(words))

    @property
    def start_ms(self) -> int:
        return self.segment.start_ms

    @property
    def end_ms(self) -> int:
        return self.segment.end_ms

    def precedence(self) -> tuple[bool, int, int, int, str]:
        """Who may hide others comes first: finals, then who says more, then who spans more time."""
        span_ms = self.end_ms - self.start_ms
        return not self.segment.completed, -len(self.letters), -span_ms, self.start_ms, self.segment.key


def hidden_by(segments: Sequence[LegacySegment]) -> dict[str, str]:
    """Return the keys of segments that repeat another one, each with the key of that one, which is itself shown.

    Args:
        segments: those of one session that have no id, in any order.

    A segment is hidden if it lies within another's time and its letters are contained in the other's, or if it is
    the tail of the segment before: at most two words and 1.5 s. Speakers must be equal, or one of them unknown.
    A draft never hides a final.
    """
    candidates = sorted((_Candidate.of(each) for each in segments), key=_Candidate.precedence)
    by_key = {each.segment.key: each for each in candidates}
    longest_ms = max((each.end_ms - each.start_ms for each in candidates), default=0)
    shown, contained = _sift(candidates, _contains, longest_ms)
    _, tails = _sift(shown, _ends_with, longest_ms)
    hidden = contained | tails
    # what lies within a hidden tail repeats what the tail repeats, unless another speaker said that
    for inner, other in contained.items():
        if other.segment.key in tails:
            del hidden[inner]
            if _comparable(tails[other.segment.key], by_key[inner]):
                hidden[inner] = tails[other.segment.key]
    return {key: other.segment.key for key, other in hidden.items()}


def _sift(
    candidates: Iterable[_Candidate], repeats: Callable[[_Candidate, _Candidate], bool], longest_ms: int
) -> tuple[list[_Candidate], dict[str, _Candidate]]:
    """Split candidates into those that stay, by start, and the keys of those that repeat one that stayed before."""
    kept: list[_Candidate] = []
    hidden: dict[str, _Candidate] = {}
    for candidate in candidates:
        first = bisect_left(kept, candidate.start_ms - longest_ms - _TOLERANCE_MS, key=attrgetter("start_ms"))
        last = bisect_right(kept, candidate.start_ms + _TOLERANCE_MS, key=attrgetter("start_ms"))
        said = next(
            (other for other in kept[first:last] if _comparable(other, candidate) and repeats(other, candidate)), None
        )
        if said is None:
            insort(kept, candidate, key=attrgetter("start_ms"))
        else:
            hidden[candidate.segment.key] = said
    return kept, hidden


def _comparable(shown: _Candidate, other: _Candidate) -> bool:
    one, two = shown.segment.speaker, other.segment.speaker
    may_be_one_speaker = one is None or two is None or one == two
    return bool(other.words) and may_be_one_speaker and (shown.segment.completed or not other.segment.completed)


def _contains(outer: _Candidate, inner: _Candidate) -> bool:
    within = outer.start_ms - _TOLERANCE_MS <= inner.start_ms and inner.end_ms <= outer.end_ms + _TOLERANCE_MS
    return within and inner.letters in outer.letters


def _ends_with(previous: _Candidate, tail: _Candidate) -> bool:
    overlaps = previous.start_ms < tail.start_ms < previous.end_ms < tail.end_ms
    is_short = len(tail.words) <= _MAX_TAIL_WORDS and tail.end_ms - tail.start_ms < _MAX_TAIL_MS
    return overlaps and is_short and previous.words[-len(tail.words) :] == tail.words


def _words(text: str) -> tuple[str, ...]:
    """The words of a text without case and punctuation; a text of punctuation alone is one word, an empty one none.

    Each character of a script without spaces between words is a word.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    if folded.isascii():  # most texts, and many times faster
        return tuple(folded.translate(_ASCII_MARKS).split()) or tuple(text.split()[:1])
    spaced = "".join(f" {each} " if is_unspaced(each) else each for each in folded)
    words = ("".join(each for each in word if unicodedata.category(each)[0] in "LMN") for word in spaced.split())
    return tuple(filter(None, words)) or tuple(text.split()[:1])
