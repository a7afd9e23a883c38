"""Spaces between the words and segments of a response, for services that trim them. Pure.

Whisper's own words begin with a space where the script has spaces. But a service may trim its texts,
which then must not be joined without one. A wrong space is as bad as a missing one: "well" and
"-known" belong together, and so do the characters of a Chinese sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

# First and last code point of scripts written without spaces between words, and their punctuation.
WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x312F),  # radicals, Chinese and Japanese punctuation, kana, bopomofo
    (0x31A0, 0xA4CF),  # more of them, Chinese signs, Yi
    (0xF900, 0xFAFF),  # compatibility signs
    (0xFE30, 0xFE4F),  # vertical punctuation
    (0xFF00, 0xFF9F),  # full-width letters and punctuation, half-width kana
    (0x20000, 0x3FFFF),  # rarer Chinese signs
)


def without_spaces(sign: str) -> bool:
    """Does the character belong to a script without spaces between words?"""
    return any(first <= ord(sign) <= last for first, last in WITHOUT_SPACES)


def spaced(before: str, text: str) -> str:
    """The text of a segment, with a leading space unless it has one or needs none.

    Args:
        before: the text before it, empty if it is the first of a response.
        text: not blank.
    """
    sign = text[0]
    if sign.isspace() or before[-1:].isspace() or without_spaces(sign) or (before and without_spaces(before[-1])):
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
