from __future__ import annotations

import pytest

from app.core.text_breaks import ends_clause, ends_sentence, is_unspaced, may_break


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("one", " two", True),
        ("one", "two", False),
        ("well", "-known", False),
        ("one ", "two", False),
        ("", "two", False),
        ("中", "文", True),
        ("中", "。", False),
        ("「", "中", False),
        ("か", "っ", False),
        ("เ", "ก", False),
        ("ក", "ខ", True),  # Khmer
        ("བ", "ོ", False),  # Tibetan: a mark belongs to its letter
        ("3", "7", False),
    ],
)
def test_breaks(before: str, after: str, *, allowed: bool):
    """Before a space, or between characters of an unspaced script that may end and begin a line."""
    assert may_break(before, after) is allowed


@pytest.mark.parametrize("text", ["Yes.", 'Yes."', "はい。」", "Wait… ", "कब।"])
def test_sentence_ends(text: str):
    """A mark of any script ends a sentence, also behind closing quotes."""
    assert ends_sentence(text)
    assert ends_clause(text)


@pytest.mark.parametrize("text", ["Yes,", "はい、", "so:"])
def test_clause_ends(text: str):
    """A comma ends a clause but no sentence."""
    assert ends_clause(text)
    assert not ends_sentence(text)


def test_scripts_without_spaces():
    """Chinese, Thai and Khmer have no spaces between words; Latin, Korean and Arabic have."""
    assert all(is_unspaced(character) for character in "中カทក")
    assert not any(is_unspaced(character) for character in "aб한ع.")
