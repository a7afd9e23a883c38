"""What a search shows of a text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from app.collector.store.search_words import Term, find_terms

_AROUND_CHARACTERS: Final = 80
_MAX_CHARACTERS: Final = 240


def snippet(text: str, terms: Sequence[Term]) -> str:
    """The text around the first match in HTML: matches between <b> and </b>, everything else escaped."""
    spans = find_terms(text, terms)
    first = spans[0][0] if spans else 0
    start = _word_start(text, max(first - _AROUND_CHARACTERS, 0))
    end = min(start + _MAX_CHARACTERS, len(text))
    parts, position = ["… " if start else ""], start
    for span_start, span_end in spans:
        if span_start >= position and span_end <= end:
            parts += [escape(text[position:span_start]), "<b>", escape(text[span_start:span_end]), "</b>"]
            position = span_end
    parts += [escape(text[position:end]), " …" if end < len(text) else ""]
    return "".join(parts)


def _word_start(text: str, index: int) -> int:
    """The start of the next word, if one begins soon; texts without spaces are cut anywhere."""
    if index == 0:
        return 0
    space = text.find(" ", index, index + _AROUND_CHARACTERS // 2)
    return index if space < 0 else space + 1
