"""Where a line of text may break, in scripts with and without spaces between words. Pure.

Source of what may not begin or end a line: Unicode UAX #14, classes CL, CJ, NS, OP.
"""

from __future__ import annotations

import unicodedata
from typing import Final

SENTENCE_ENDS: Final = (".", "!", "?", "。", "！", "？", "…", "｡", "؟", "।", "။")
CLAUSE_ENDS: Final = (",", ";", ":", "，", "、", "；", "：", "､", "၊")
# May follow the mark that ends a sentence.
CLOSING: Final = "\"'»”’)]}）」』】》〉］｝｣"
# A line does not begin with these: marks, closing brackets, small kana, and Thai and Lao vowels that follow a letter.
NEVER_FIRST: Final = frozenset(
    "".join((*SENTENCE_ENDS, *CLAUSE_ENDS, CLOSING, "%-・·々〻ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮะาำๅๆฯະາຳ"))
)
# A line does not end with these: opening brackets, quotes of either kind, vowels that stand before their letter.
NEVER_LAST: Final = frozenset("\"'“‘«¿([{-（「『【《〈［｛｢เแโใไເແໂໃໄ")
# First and last code point of scripts written without spaces between words, and of their punctuation.
_UNSPACED_SCRIPTS: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x312F),  # radicals, Chinese and Japanese punctuation, kana, bopomofo
    (0x31A0, 0xA4CF),  # more of them, Chinese characters, Yi
    (0xF900, 0xFAFF),  # compatibility characters
    (0xFE30, 0xFE4F),  # vertical punctuation
    (0xFF00, 0xFF9F),  # full-width letters and punctuation, half-width kana
    (0x20000, 0x3FFFF),  # rarer Chinese characters
)


def is_unspaced(character: str) -> bool:
    """Whether the character belongs to a script that puts no space between words."""
    return any(first <= ord(character) <= last for first, last in _UNSPACED_SCRIPTS)


def ends_sentence(text: str) -> bool:
    """Whether the text ends with a sentence mark, closing quotes and brackets aside."""
    return text.rstrip(f"{CLOSING} ").endswith(SENTENCE_ENDS)


def ends_clause(text: str) -> bool:
    """Whether the text ends with the mark of a clause or a sentence, closing quotes and brackets aside."""
    return text.rstrip(f"{CLOSING} ").endswith((*SENTENCE_ENDS, *CLAUSE_ENDS))


def may_break(before: str, after: str) -> bool:
    """Whether a line may end with `before` and the next one begin with `after`.

    In scripts with spaces: only before a space. In others: between any two characters that may end and begin a line.
    """
    last, first = before[-1:], after[:1]
    if not last or not first or last.isspace() or first.isspace():
        return first.isspace()
    if not (is_unspaced(last) or is_unspaced(first) or last == "…"):
        return False  # inside a word, a name or a number
    return last not in NEVER_LAST and first not in NEVER_FIRST and not unicodedata.category(first).startswith("M")
