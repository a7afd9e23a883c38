"""Spaces between the pieces of an answer, for services that write none.

Whisper's own words begin with their space, and some scripts need none. But a service may trim its
texts, and pieces joined as they are would be glued together. A wrong space is as bad as a missing
one: "well" and "-known" belong together, and so do the signs of a Chinese sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from app.core.text_breaks import is_unspaced


def spaced(before: str, text: str) -> str:
    """A text that begins a segment, with a space in front unless it has one or needs none.

    Args:
        before: the text it follows, empty if it is the first one of an answer.
        text: not blank.
    """
    sign = text[0]
    if sign.isspace() or before[-1:].isspace() or is_unspaced(sign) or (before and is_unspaced(before[-1])):
        return text
    return " " + text if any(c.isalnum() for c in text) else text


def spaced_words(words: Sequence[str], whole: str) -> list[str]:
    """The words of one segment, the second and later ones with a space in front if the service left all of them out.

    Args:
        words: as the service wrote them, none blank.
        whole: the segment's text; where the words make it as they are, nothing is missing.
    """
    if "".join(words).strip() == whole.strip() or any(word != word.strip() for word in words):
        return list(words)
    return [*words[:1], *(spaced(before, word) if word[0].isalnum() else word for before, word in pairwise(words))]
