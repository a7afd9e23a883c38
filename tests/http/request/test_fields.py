from __future__ import annotations

import pytest

from app.core.errors import InvalidRequest
from app.http.request import fields as read


def test_last_value_wins_and_blank_is_absent():
    """The rule for repeated fields is defined: the last value wins, also when it is blank."""
    assert read.text([("a", "1"), ("a", " 2 ")], "a") == "2"
    assert read.text([("a", "1"), ("a", "  ")], "a") is None
    assert read.text([], "a") is None


@pytest.mark.parametrize(
    ("sent", "items"),
    [
        ([("x[]", "a"), ("x[]", "b")], ["a", "b"]),
        ([("x[0]", "a"), ("x[1]", "b")], ["a", "b"]),
        ([("x", "a"), ("x", "b")], ["a", "b"]),
        ([("x", '["a","b"]')], ["a", "b"]),
        ([("x", "a, b ,")], ["a", "b"]),
        ([("x[]", "a"), ("x", "b")], ["a", "b"]),
        ([("x", "Two Words, K")], ["Two Words", "K"]),
        ([("x", ""), ("x[]", " ")], []),
        ([("y", "a"), ("x[key]", "b"), ("x]", "c")], []),
    ],
)
def test_lists_in_every_encoding(sent: list[tuple[str, str]], items: list[str]):
    """Repeated with or without brackets, one JSON array, comma-separated; case and inner spaces are kept."""
    assert read.items(sent, "x") == items


@pytest.mark.parametrize("value", ["[", "[1]", '["a",null]', '[["a"]]', "[" * 100_000])
def test_broken_json_arrays_are_named(value: str):
    """A value that starts like an array but is not an array of strings is an error, never a guess."""
    with pytest.raises(InvalidRequest) as refused:
        read.items([("x", value)], "x")
    assert refused.value.param == "x"
    assert len(refused.value.message) < 200


def test_shown_values_are_short_and_printable():
    """A message is one line, whatever was sent."""
    assert read.shown("\x1b\n" + "x" * 1000).isprintable()
    assert len(read.shown("x" * 1000)) < 70


def test_keys_of_an_object():
    """`name[key]` fields make an object without its blank values; other names do not interfere."""
    sent = [("x[a]", "1"), ("x[b]", " "), ("x[a]", " 2 "), ("y[a]", "3"), ("x", "4"), ("x[c]d", "5")]
    assert read.keys(sent, "x") == {"a": "2"}
    assert read.keys([], "x") == {}


def test_lists_are_bounded():
    """A list longer than any real one is refused before its items are looked up."""
    assert len(read.items([("languages", "en," * 1000)], "languages")) == 1000
    for sent in [[("languages", "en," * 1001)], [("languages[]", "en," * 600)] * 2]:
        with pytest.raises(InvalidRequest, match="1000 items"):
            read.items(sent, "languages")
