"""Combine committed words into the segments that a client keeps: sentences, not single words. Pure.

A segment is completed at the end of a sentence, at a silence between words, at a pause of the
stream, and at a length limit, there at the most readable place. A long sentence is completed in
parts, so that its first words are not held back until its end: first at the ends of its clauses and
at short breaks between words, then, if there are none, at the widest gap. A completed segment never
changes: clients recognise it by its exact times and text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.core.text_breaks import ends_clause, ends_sentence, may_break
from app.live.policy.hypothesis import Word

SHORTEST_SENTENCE_S = 0.3  # "Mr." alone is no segment
SHORTEST_PART_S = 1.5  # a shorter part of a sentence is no readable line
BREAK_S = 0.2  # a gap between two words at which a line may end


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of the transcript, in seconds of the stream; the text has the model's leading space."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...]
    completed: bool
    language: str | None = None


def segment_of(words: Sequence[Word], *, completed: bool, language: str | None = None) -> Segment:
    """One segment of `words`, which must not be empty."""
    text = " " + "".join(word.text for word in words).strip()
    return Segment(words[0].start, words[-1].end, text, tuple(words), completed, language)


def divided(word: Word, longest_s: float) -> list[Word]:
    """Divide a word that stands for a segment without words into parts of at most `longest_s`.

    Their times are estimated from the lengths of their texts. A part ends where a sentence or a clause ends in the
    second half of what fits, else after the last word that fits, or the last character in a script without spaces.
    """
    seconds, text = word.end - word.start, word.text
    if seconds <= longest_s:
        return [word]
    most = int(len(text) * longest_s / seconds)
    first = len(text) - len(text.lstrip()) + 1
    places = [n for n in range(first, len(text)) if may_break(text[n - 1], text[n])]
    cuts = [0]
    while len(text) - cuts[-1] > most and (later := [n for n in places if n > cuts[-1]]):
        fitting = [n for n in later if n <= cuts[-1] + most] or later[:1]
        second_half = [n for n in fitting if n > cuts[-1] + most / 2]
        sentences = [n for n in second_half if ends_sentence(text[max(0, n - 4) : n])]
        clauses = [n for n in second_half if ends_clause(text[n - 1])]
        cuts.append((sentences or clauses or fitting)[-1])
    times = [word.start + seconds * n / len(text) for n in cuts] + [word.end]
    texts = [text[n:end] for n, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]
    parts = zip(times, times[1:], texts, strict=False)
    return [replace(word, start=start, end=end, text=part) for start, end, part in parts]


class Segmenter:
    """Holds the committed words that are not yet part of a completed segment."""

    def __init__(self, *, max_segment_s: float, gap_s: float, complete_after_s: float) -> None:
        self._max_segment_s = max_segment_s
        self._gap_s = gap_s
        self._complete_after_s = complete_after_s
        self._open: list[Word] = []

    @property
    def open_words(self) -> tuple[Word, ...]:
        """Committed words whose sentence has not ended yet."""
        return tuple(self._open)

    def add(
        self, words: Sequence[Word], *, close: bool, heard_s: float = 0.0, language: str | None = None
    ) -> list[Segment]:
        """Add newly committed words.

        Args:
            words: in seconds of the stream.
            close: the segment ends after the last word.
            heard_s: the end of the window in which they were recognised; words that ended long before it are completed.
            language: of the completed segments.
        """
        completed: list[Segment] = []
        for word in (part for whole in words for part in divided(whole, self._max_segment_s)):
            if self._open and word.start - self._open[-1].end >= self._gap_s:
                completed.append(self._complete(len(self._open), language))
            self._open.append(word)
            if self._ends_sentence():
                completed.append(self._complete(len(self._open), language))
            elif self._open[-1].end - self._open[0].start > self._max_segment_s and len(self._open) > 1:
                completed.append(self._complete(self._best_break(), language))
        if close and self._open:
            completed.append(self._complete(len(self._open), language))
        while count := self._overdue(heard_s):
            completed.append(self._complete(count, language))
        return completed

    def _ends_sentence(self) -> bool:
        last = self._open[-1]
        return ends_sentence(last.text) and last.end - self._open[0].start >= SHORTEST_SENTENCE_S

    def _overdue(self, heard_s: float) -> int:
        """How many of the open words to complete because the first of them has waited long enough; 0 for none."""
        if not self._open:
            return 0
        waited_s = heard_s - self._open[0].end
        parts = [n for n in range(1, len(self._open) + 1) if self._length_s(n) >= SHORTEST_PART_S]
        if waited_s >= self._complete_after_s / 2 and (good := [n for n in parts if self._may_end(n)]):
            return good[-1]
        inner = [n for n in parts if n < len(self._open)]
        if waited_s >= self._complete_after_s and inner:
            return max(inner, key=lambda n: (self._gap_after_s(n), n))
        return 0

    def _may_end(self, count: int) -> bool:
        """Does a clause end after the first `count` words, or the speaker make a short break?"""
        return ends_clause(self._open[count - 1].text) or self._gap_after_s(count) >= BREAK_S

    def _length_s(self, count: int) -> float:
        return self._open[count - 1].end - self._open[0].start

    def _gap_after_s(self, count: int) -> float:
        """The gap after the first `count` words; 0 after the last, because the next word is not known."""
        return self._open[count].start - self._open[count - 1].end if count < len(self._open) else 0.0

    def _best_break(self) -> int:
        """After the last clause in the second half, else at the widest gap there, else before the newest word."""
        half = max(1, len(self._open) // 2)
        places = range(half, len(self._open))
        clauses = [n for n in places if ends_clause(self._open[n - 1].text)]
        if clauses:
            return clauses[-1]
        return max(places, key=lambda n: (self._gap_after_s(n), n))

    def _complete(self, count: int, language: str | None) -> Segment:
        segment = segment_of(self._open[:count], completed=True, language=language)
        del self._open[:count]
        return segment
