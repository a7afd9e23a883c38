"""Cut a segment that is too long for live text, where a reader would break it. Pure.

Live clients commit whole segments. A cut goes to a sentence's end if there is one, else behind a clause or at a
space, at the longest pause, nearest to the middle. Text that is written without spaces (Chinese, Japanese, Thai,
Lao, Burmese) comes as words of one token each: it is cut between any two of them that may begin and end a line.
Source of what may not begin or end a line: UAX #14, classes CL, CJ, NS, OP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from faster_whisper.transcribe import Segment as WhisperSegment
from faster_whisper.transcribe import Word as WhisperWord

from app.core.text_breaks import ends_clause, ends_sentence, may_break

# A segment that is longer than this is cut.
LONG_SEGMENT_S = 8.0
# No piece of a cut segment is shorter than this.
SHORT_PIECE_S = 2.0
PAUSE_S = 0.3


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word with its tokens, on the window's clock."""

    text: str
    tokens: tuple[int, ...]
    start_s: float
    end_s: float


def is_long(segment: WhisperSegment) -> bool:
    """Whether it has to be cut."""
    return bool(segment.end - segment.start > LONG_SEGMENT_S)


def pieces_of(segment: WhisperSegment, words: Sequence[SpokenWord]) -> list[WhisperSegment]:
    """Cut a segment between words, as far as there is a place for it."""
    groups = _groups(list(words))
    if len(groups) < 2:  # noqa: PLR2004 - nothing to cut
        return [segment]
    pieces: list[WhisperSegment] = []
    left = list(segment.words or ())
    for number, group in enumerate(groups):
        text = "".join(word.text for word in group)
        own, left = _first_words(left, len(text)) if number < len(groups) - 1 else (left, [])
        start = segment.start if number == 0 else max(group[0].start_s, pieces[-1].end)
        end = segment.end if number == len(groups) - 1 else group[-1].end_s
        pieces.append(
            replace(
                segment,
                start=float(start),
                end=float(max(end, start + 0.02)),
                text=text,
                tokens=list(chain.from_iterable(word.tokens for word in group)),
                words=own if segment.words is not None else None,
            )
        )
    return pieces


def _groups(words: list[SpokenWord]) -> list[list[SpokenWord]]:
    """Words in runs of at most LONG_SEGMENT_S, as far as there is a place to cut."""
    places = [
        index
        for index in range(1, len(words))
        if words[index - 1].end_s - words[0].start_s >= SHORT_PIECE_S
        and words[-1].end_s - words[index].start_s >= SHORT_PIECE_S
        and may_break(words[index - 1].text, words[index].text)
    ]
    if not places or words[-1].end_s - words[0].start_s <= LONG_SEGMENT_S:
        return [words] if words else []
    middle_s = (words[0].start_s + words[-1].end_s) / 2

    def merit(index: int) -> tuple[bool, bool, float, float]:
        before, after = words[index - 1], words[index]
        # a closing quote may be a word of its own, behind the mark that is another one
        said = "".join(word.text for word in words[max(index - 3, 0) : index])
        clause_ends = after.text.startswith(" ") or ends_clause(said)
        pause_s = max(after.start_s - before.end_s, 0.0)
        return (
            ends_sentence(said),
            clause_ends,
            pause_s if pause_s >= PAUSE_S else 0.0,
            -abs(after.start_s - middle_s),
        )

    best = max(places, key=merit)
    return _groups(words[:best]) + _groups(words[best:])


def _first_words(words: list[WhisperWord], n_characters: int) -> tuple[list[WhisperWord], list[WhisperWord]]:
    """Split timed words where their texts have filled `n_characters`."""
    filled = count = 0
    while count < len(words) and filled < n_characters:
        filled += len(words[count].word)
        count += 1
    return words[:count], words[count:]
