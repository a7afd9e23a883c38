from __future__ import annotations

from typing import Any

import pytest

from app.collector.wire import values
from app.collector.wire.errors import BadValue


@pytest.mark.parametrize("value", [0, 3.2, "3.200", " 3 ", "1e3", "-1", "+5"])
def test_numbers(value):
    """Numbers, and texts of digits."""
    assert values.number(value) == float(value)


@pytest.mark.parametrize(
    "value", [None, True, "", "1_0", "nan", "inf", "0x10", "٣", float("nan"), 10**400, [], "1e999"]
)
def test_other_values_are_no_numbers(value):
    """Booleans, infinities and what only Python takes for a number."""
    with pytest.raises(BadValue):
        values.number(value)


@pytest.mark.parametrize(
    "value", ["2026-02-15T09:20:03.101Z", "2026-02-15T10:20:03.101+01:00", "2026-02-15T09:20:03.101", 1771147203.101]
)
def test_absolute_times(value):
    """UTC unless the text has an offset, or Unix seconds."""
    assert values.unix_ms(value) == 1771147203101


@pytest.mark.parametrize(
    "value", ["", "soon", "1999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2100-01-01", 0, 1e300]
)
def test_absurd_absolute_times(value):
    """What is no time, or lies outside this century."""
    with pytest.raises(BadValue):
        values.unix_ms(value)


def test_relative_times_fit_the_database():
    """The longest session in milliseconds is a 32-bit integer."""
    assert values.time_s(values.MAX_RELATIVE_S) * 1000 < 2**31
    with pytest.raises(BadValue):
        values.time_s(values.MAX_RELATIVE_S + 1)


@pytest.mark.parametrize("text", ["no", "OK", "hello", "好", "aaaaah", "[BLANK_AUDIO]", ""])
def test_speech_is_never_filtered(text: str):
    """Only the white space around it goes."""
    assert values.speech(f"\n {text}\u3000") == text


def test_counts_and_names():
    """A count is a whole number, a name is a text or a whole number."""
    assert values.count(0) == 0
    assert values.name(7) == "7"
    assert values.name("  ") is None
    for bad in (True, 1.0, -1, 2**31, "1"):
        with pytest.raises(BadValue):
            values.count(bad)


def test_words():
    """Flat objects pass as they are; anything deeper does not."""
    assert values.words([{"word": " Hi", "start": 0.0, "p": None}]) == ({"word": " Hi", "start": 0.0, "p": None},)
    bad: Any
    for bad in ({}, [1], [{"word": {}}], [{"start": float("inf")}], [{"word": "\0"}]):
        with pytest.raises(BadValue):
            values.words(bad)
