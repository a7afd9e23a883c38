"""Bounds on JSON documents that are slow to parse although they are short. Pure.

Every list, object, item and key becomes a Python object, all in one call that no other thread can
interrupt: 8 MiB of `[],[],...` take a second. Counting the characters that open or separate them
takes milliseconds and needs no parsing, so it comes first. Base64 contains none of them.
Converting an integer takes time with the square of its digits, so long numbers are refused.
"""

from __future__ import annotations

import json
from typing import Any

STRUCTURE = "[{,"
MAX_NUMBER_CHARACTERS = 100
MAX_STRUCTURE = 100_000  # takes from 10 ms (lists) to 90 ms (keys of objects) to parse


class TooMuchStructure(ValueError):
    """The document has more lists, objects and items than allowed; it was not parsed."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"too many lists, objects and items; the limit is {limit} of the characters {' '.join(STRUCTURE)} together"
        )
        self.limit = limit


def count_structure(body: str | bytes | bytearray) -> int:
    """How many characters of `STRUCTURE` the document has, those inside strings included."""
    if isinstance(body, str):
        return sum(body.count(each) for each in STRUCTURE)
    return sum(body.count(each.encode()) for each in STRUCTURE)


def load_json(body: str | bytes | bytearray, *, max_structure: int = MAX_STRUCTURE) -> Any:
    """Parse a JSON document that came from outside.

    Raises:
        TooMuchStructure: more than `max_structure` lists, objects and items.
        ValueError: not JSON, nested too deeply, or with a number of more than 100 characters.
    """
    if count_structure(body) > max_structure:
        raise TooMuchStructure(max_structure)
    try:
        return json.loads(body, parse_int=_integer, parse_float=_float)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _integer(literal: str) -> int:
    return int(_short(literal))


def _float(literal: str) -> float:
    return float(_short(literal))


def _short(literal: str) -> str:
    if len(literal) > MAX_NUMBER_CHARACTERS:
        raise ValueError(f"a number has more than {MAX_NUMBER_CHARACTERS} characters")
    return literal
