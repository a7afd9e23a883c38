from __future__ import annotations

import pytest

from app.core.errors import InvalidRequest
from app.http.request import fields as read


def test_last_value_counts_and_blank_is_absent():
    """Defined, not accidental."""
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
    """Repeated with brackets, repeated bare, one JSON array, commas; case and inner blanks stay."""
    assert read.items(sent, "x") == items


@pytest.mark.parametrize("value", ["[", "[1]", '["a",null]', '[["a"]]', "[" * 100_000])
def test_half_a_json_array_is_named(value: str):
    """Never a crash, never a guess."""
    with pytest.raises(InvalidRequest) as refused:
        read.items([("x", value)], "x")
    assert refused.value.param == "x"
    assert len(refused.value.message) < 200


@pytest.mark.parametrize("value", [True, False, None, [], {}, "nan", "inf", "1e999", "2", "-1", "one"])
def test_numbers_outside_their_range_or_their_kind_are_named(value: object):
    """JSON's true is no number."""
    with pytest.raises(InvalidRequest, match="from 0 to 1"):
        read.number_of("x", value, low=0.0, high=1.0)


def test_numbers():
    """Text or JSON number."""
    assert read.number_of("x", 1, low=0.0, high=1.0) == 1.0
    assert read.number_of("x", "0.5", low=0.0, high=1.0) == 0.5


def test_shown_values_are_short_and_printable():
    """A message is one line, whatever was sent."""
    assert read.shown("\x1b\n" + "x" * 1000).isprintable()
    assert len(read.shown("x" * 1000)) < 70


@pytest.mark.parametrize("null", ["null", "None", "undefined"])
def test_null_is_absent(null: str):
    """Forms that were made of JSON spell null; a switch is then absent."""
    assert read.boolean([("stream", null)], "stream") is None


def test_lists_are_bounded():
    """A list longer than any real one is refused before its items are looked up."""
    assert len(read.items([("languages", "en," * 1000)], "languages")) == 1000
    for sent in [[("languages", "en," * 1001)], [("languages[]", "en," * 600)] * 2]:
        with pytest.raises(InvalidRequest, match="1000 items"):
            read.items(sent, "languages")
