"""Gather committed words into the segments a client keeps: sentences, not single words.

A segment is completed at the end of a sentence, at a silence between words, at a pause of the
stream, and at a length limit, then at the best place for a reader. A completed segment never
changes: clients recognise it by its exact times and text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.streaming.hypothesis import Word

SENTENCE_ENDS = tuple(".!?…。！？؟।")
CLAUSE_ENDS = (*SENTENCE_ENDS, ",", ";", ":", "、", "，", "；")
SHORTEST_SENTENCE_S = 0.3  # "Mr." alone is no segment


@dataclass(frozen=True, slots=True)
class Segment:
    """A line of the transcript; seconds of the stream; text with the model's leading space."""

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


class Sentences:
    """The committed words that are not yet part of a completed segment."""

    def __init__(self, *, max_segment_s: float, gap_s: float) -> None:
        self._max_segment_s = max_segment_s
        self._gap_s = gap_s
        self._open: list[Word] = []

    @property
    def open_words(self) -> tuple[Word, ...]:
        """Committed words that still wait for their sentence to end."""
        return tuple(self._open)

    def add(self, words: Sequence[Word], *, close: bool, language: str | None = None) -> list[Segment]:
        """Take newly committed words; `close` ends the sentence behind the last of them."""
        completed: list[Segment] = []
        for word in words:
            if self._open and word.start - self._open[-1].end >= self._gap_s:
                completed.append(self._complete(len(self._open), language))
            self._open.append(word)
            if self._ends_sentence():
                completed.append(self._complete(len(self._open), language))
            elif self._open[-1].end - self._open[0].start > self._max_segment_s and len(self._open) > 1:
                completed.append(self._complete(self._best_break(), language))
        if close and self._open:
            completed.append(self._complete(len(self._open), language))
        return completed

    def _ends_sentence(self) -> bool:
        last = self._open[-1]
        return (
            last.text.rstrip("\"'»”’)").endswith(SENTENCE_ENDS)
            and last.end - self._open[0].start >= SHORTEST_SENTENCE_S
        )

    def _best_break(self) -> int:
        """Behind the last clause in the second half, else at the widest gap there, else before the newest word."""
        half = max(1, len(self._open) // 2)
        places = range(half, len(self._open))
        clauses = [n for n in places if self._open[n - 1].text.endswith(CLAUSE_ENDS)]
        if clauses:
            return clauses[-1]
        return max(places, key=lambda n: (self._open[n].start - self._open[n - 1].end, n))

    def _complete(self, count: int, language: str | None) -> Segment:
        segment = segment_of(self._open[:count], completed=True, language=language)
        del self._open[:count]
        return segment
