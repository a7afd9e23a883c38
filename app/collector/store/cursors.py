"""Positions in lists, as opaque texts for clients. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Final

from app.collector.errors import BadCursor

_MAX_CHARACTERS: Final = 4096
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def write_cursor(*position: int | str) -> str:
    """A text that leads back to a position."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def read_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The position in a cursor, each part of the expected type.

    Raises:
        BadCursor: this server did not give it out, or for another list.
    """
    try:
        padding = "=" * (-len(cursor) % 4)
        position = json.loads(base64.b64decode(cursor[:_MAX_CHARACTERS] + padding, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        position = None
    if not isinstance(position, list) or [type(each) for each in position] != list(kinds):
        raise BadCursor("cursor is not one that this server gave out; leave it out to start from the beginning")
    if not all(map(_is_storable, position)):
        raise BadCursor("cursor is out of range; leave it out to start from the beginning")
    return tuple(position)


def _is_storable(part: int | str) -> bool:
    """Can a database compare it? No text of a row has NUL or half of a surrogate pair."""
    if isinstance(part, int):
        return -(2**63) <= part < 2**63
    return not _UNSTORABLE.search(part)
