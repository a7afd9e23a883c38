"""Which words of a text can be searched, and what a query means. Pure, the same for both databases.

Texts in ASCII are split by the database itself. Of others the words are computed here: small letters without Latin
accents, and each character of a script without spaces a word of its own, so that a phrase finds any part of a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.core.text_breaks import is_unspaced

MAX_TERMS: Final = 32
_ASCII_WORD: Final = re.compile(r"[a-z0-9]+")
_TERM: Final = re.compile(r'"([^"]*)"?|(\S+)')
_ACCENTS: Final = ("\u0300", "\u036f")  # combining marks of Latin, Greek and Cyrillic


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text as it is compared, and where it stands there."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must follow each other; the last one is the beginning of a word if `is_prefix`."""

    words: tuple[str, ...]
    is_prefix: bool = False


def search_text(text: str) -> str | None:
    """What is indexed instead of a text; None: the text itself."""
    return None if text.isascii() else " ".join(word.text for word in words_of(text))


def read_query(query: str) -> tuple[Term, ...]:
    """Terms that must all be found: `words`, `"a phrase"`, `beginning*`. Everything else only separates words."""
    terms = []
    for match in _TERM.finditer(query):
        phrase, single = match.groups()
        words = tuple(word.text for word in words_of(single if phrase is None else phrase))
        if words:
            terms.append(Term(words, is_prefix=single is not None and single.endswith("*")))
    return tuple(terms[:MAX_TERMS])


def words_of(text: str) -> list[Word]:
    """The words of a text in order."""
    if text.isascii():
        return [Word(match.group(), *match.span()) for match in _ASCII_WORD.finditer(text.lower())]
    words: list[Word] = []
    start, letters = 0, ""
    for index, character in enumerate(text):
        folded = _fold(character)
        alone = bool(folded) and not str(folded).isascii() and is_unspaced(character)
        if letters and (folded is None or alone):
            words.append(Word(letters, start, index))
            letters = ""
        if folded is None:
            continue
        if alone:
            words.append(Word(folded, index, index + 1))
            continue
        if not letters:
            start = index
        letters += folded
    if letters:
        words.append(Word(letters, start, len(text)))
    return words


def find_terms(text: str, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Where the terms stand in a text: disjoint spans of characters in ascending order."""
    words = words_of(text)
    spans: list[tuple[int, int]] = []
    for term in terms:
        size = len(term.words)
        for index in range(len(words) - size + 1):
            here = tuple(word.text for word in words[index : index + size])
            if here == term.words or (
                term.is_prefix and here[:-1] == term.words[:-1] and here[-1].startswith(term.words[-1])
            ):
                spans.append((words[index].start, words[index + size - 1].end))
    return _joined(sorted(spans))


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def _fold(character: str) -> str | None:
    """A character as it is compared: empty for an accent, None for what separates words."""
    if character.isascii():
        return character.lower() if character.isalnum() else None
    base = "".join(
        each
        for each in unicodedata.normalize("NFKD", character).casefold()
        if not _ACCENTS[0] <= each <= _ACCENTS[1] and unicodedata.category(each)[0] in "LMN"
    )
    if base:
        return unicodedata.normalize("NFC", base)
    return "" if _ACCENTS[0] <= character <= _ACCENTS[1] else None
