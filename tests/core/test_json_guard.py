import json

import pytest

from app.core.json_guard import TooMuchStructure, count_structure, load_json


@pytest.mark.parametrize("body", ['{"a": [1, 2]}', b'{"a": [1, 2]}', bytearray(b'{"a": [1, 2]}')])
def test_json_is_parsed_and_counted_in_every_form(body):
    """Text, bytes and a bytearray give the same document and the same count: one object, one list, one comma."""
    assert load_json(body) == {"a": [1, 2]}
    assert count_structure(body) == 3


@pytest.mark.parametrize("body", ["[1,2]", '[",,"]', "[[[1]]]", '{"a":{},"b":0}'])
def test_too_much_structure_is_refused_before_parsing(body, monkeypatch):
    """A document above the limit never reaches the parser; the error names the limit."""
    monkeypatch.setattr(json, "loads", lambda body: pytest.fail("parsed"))
    with pytest.raises(TooMuchStructure, match=f"the limit is {count_structure(body) - 1} of"):
        load_json(body, max_structure=count_structure(body) - 1)


def test_the_limit_itself_is_allowed():
    """Exactly as much structure as allowed is parsed."""
    assert load_json("[1,2]", max_structure=2) == [1, 2]


@pytest.mark.parametrize("body", ["", "{", b"\xff", "[" * 99_000])
def test_what_is_not_json_is_a_value_error(body):
    """Broken JSON, broken UTF-8 and JSON nested too deeply are one kind of error for the caller."""
    with pytest.raises(ValueError, match=r"."):
        load_json(body)


def test_base64_has_no_structure():
    """Audio in base64 counts for nothing, however long it is."""
    assert count_structure(json.dumps("AB+/" * 1000 + "==")) == 0


@pytest.mark.parametrize("number", ["1" * 101, "-" + "9" * 4000, "0." + "1" * 200, "1e" + "0" * 200])
def test_long_numbers_are_refused(number: str):
    """Converting thousands of digits, thousands of times, would block every other thread."""
    with pytest.raises(ValueError, match="100 characters"):
        load_json(f'{{"a": [{number}]}}')


def test_ordinary_numbers_are_read():
    """Integers and floats of any usual length keep their values."""
    assert load_json("[0, -12, 3.5, 1e-7, 18446744073709551616]") == [0, -12, 3.5, 1e-7, 2**64]
