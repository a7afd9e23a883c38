"""Cut a segment that is too long for live text, where a reader would break it. Pure.

Live clients commit whole segments. A cut goes to a sentence's end if there is one, else behind a clause or at a
space, at the longest pause, nearest to the middle. Text that is written without spaces (Chinese, Japanese, Thai,
Lao, Burmese) comes as words of one token each: it is cut between any two of them that may begin and end a line.
Source of what may not begin or end a line: UAX #14, classes CL, CJ, NS, OP.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from faster_whisper.transcribe import Segment as WhisperSegment
from faster_whisper.transcribe import Word as WhisperWord

# A segment that is longer than this is cut.
LONG_SEGMENT_S = 8.0
# No piece of a cut segment is shorter than this.
SHORT_PIECE_S = 2.0
PAUSE_S = 0.3
SENTENCE_END = (".", "!", "?", "。", "！", "？", "…", "｡", "؟", "।", "။")
CLAUSE_END = (",", ";", ":", "，", "、", "；", "：", "､", "၊")
# They close what stands before them, so that a sentence may end with them behind its mark.
CLOSING = "\"'”’»)]}）」』】》〉］｝｣"
# With them a line does not begin: marks, closing brackets, small kana, and Thai and Lao vowels that follow a letter.
NEVER_FIRST = frozenset(
    "".join((*SENTENCE_END, *CLAUSE_END, CLOSING, "%-・·々〻ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮะาำๅๆฯະາຳ"))
)
# With them a line does not end: opening brackets, quotes of either kind, vowels that stand before their letter.
NEVER_LAST = frozenset("\"'“‘«¿([{-（「『【《〈［｛｢เแโใไເແໂໃໄ")
# Letters and marks of scripts that put no spaces between words.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u3000-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff9f"
    r"\U00020000-\U0003ffff…]"
)


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
        and _may_break(words[index - 1].text, words[index].text)
    ]
    if not places or words[-1].end_s - words[0].start_s <= LONG_SEGMENT_S:
        return [words] if words else []
    middle_s = (words[0].start_s + words[-1].end_s) / 2

    def merit(index: int) -> tuple[bool, bool, float, float]:
        before, after = words[index - 1], words[index]
        # a closing quote may be a word of its own, behind the mark that is another one
        said = "".join(word.text for word in words[max(index - 3, 0) : index]).rstrip(f"{CLOSING} ")
        ends_clause = after.text.startswith(" ") or said.endswith(CLAUSE_END)
        pause_s = max(after.start_s - before.end_s, 0.0)
        return (
            said.endswith(SENTENCE_END),
            ends_clause,
            pause_s if pause_s >= PAUSE_S else 0.0,
            -abs(after.start_s - middle_s),
        )

    best = max(places, key=merit)
    return _groups(words[:best]) + _groups(words[best:])


def _may_break(before: str, after: str) -> bool:
    """Whether a line may end behind one word and begin with the other."""
    if after.startswith(" "):
        return True
    last, first = before[-1:], after[:1]
    if not UNSPACED.match(last) and not UNSPACED.match(first):
        return False  # inside a name or a number
    return last not in NEVER_LAST and first not in NEVER_FIRST and not unicodedata.category(first).startswith("M")


def _first_words(words: list[WhisperWord], n_characters: int) -> tuple[list[WhisperWord], list[WhisperWord]]:
    """Split timed words where their texts have filled `n_characters`."""
    filled = count = 0
    while count < len(words) and filled < n_characters:
        filled += len(words[count].word)
        count += 1
    return words[:count], words[count:]
