"""Positions in lists, as opaque texts for clients. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from app.collector.errors import BadCursor

_MAX_CHARACTERS = 4096


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
    if any(isinstance(each, int) and not -(2**63) <= each < 2**63 for each in position):
        raise BadCursor("cursor is out of range; leave it out to start from the beginning")
    return tuple(position)
