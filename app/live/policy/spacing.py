"""Spaces between the words and segments of a response, for services that trim them. Pure.

Whisper's own words begin with a space where the script has spaces. But a service may trim its texts,
which then must not be joined without one. A wrong space is as bad as a missing one: "well" and
"-known" belong together, and so do the characters of a Chinese sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from app.core.text_breaks import is_unspaced


def spaced(before: str, text: str) -> str:
    """The text of a segment, with a leading space unless it has one or needs none.

    Args:
        before: the text before it, empty if it is the first of a response.
        text: not blank.
    """
    sign = text[0]
    if sign.isspace() or before[-1:].isspace() or is_unspaced(sign) or (before and is_unspaced(before[-1])):
        return text
    return " " + text if any(c.isalnum() for c in text) else text


def spaced_words(words: Sequence[str], whole: str) -> list[str]:
    """The words of one segment; from the second on with a leading space if the service left out all spaces.

    Args:
        words: as the service sent them, none blank.
        whole: the segment's text; if the words make up this text, no space is missing.
    """
    if "".join(words).strip() == whole.strip() or any(word != word.strip() for word in words):
        return list(words)
    return [*words[:1], *(spaced(before, word) if word[0].isalnum() else word for before, word in pairwise(words))]
