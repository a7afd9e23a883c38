"""A bound on the JSON documents that are slow to parse although they are short. Pure.

Every list, object, item and key becomes a Python object, all in one call that no other thread can
interrupt: 8 MiB of `[],[],...` take a second. Counting the characters that open or separate them
takes milliseconds and needs no parsing, so it comes first. Base64 contains none of them.
"""

from __future__ import annotations

import json
from typing import Any

STRUCTURE = "[{,"
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
        ValueError: not JSON, or nested too deeply.
    """
    if count_structure(body) > max_structure:
        raise TooMuchStructure(max_structure)
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
