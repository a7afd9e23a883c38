from __future__ import annotations

import pytest

from app.collector.errors import BadCursor
from app.collector.store.cursors import read_cursor, write_cursor


def test_a_cursor_leads_back():
    """Whatever stands in the position."""
    assert read_cursor(write_cursor(1, "ä/+", -5), int, str, int) == (1, "ä/+", -5)


@pytest.mark.parametrize(
    "cursor", ["", "x", "\0", "ä", write_cursor("1"), write_cursor(1, 2), write_cursor(2**70), "W" * 9999]
)
def test_other_texts_are_no_cursor(cursor: str):
    """Not of this list, out of range, or never given out."""
    with pytest.raises(BadCursor):
        read_cursor(cursor, int)


@pytest.mark.parametrize("text", ["\0", "a\ud800", "\udfff"])
def test_no_database_compares_with_these_texts(text: str):
    """Neither NUL nor half of a surrogate pair is stored anywhere, so no cursor holds one."""
    with pytest.raises(BadCursor):
        read_cursor(write_cursor(text), str)
