"""Read raw request fields: one text, a list in any of its encodings, or the keys of an object. Pure.

A blank value means absent, and the last value of a repeated field wins (lists collect all of them).
Source: what the OpenAI SDKs, Vexa and popular clients send; see docs/api.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from app.core.errors import InvalidRequest

Fields = Sequence[tuple[str, str]]
"""(name, value) pairs in the order in which they arrived; values are text, whatever the body was."""

MAX_ITEMS = 1000  # far more than there are languages; each item is looked up on the event loop
# name, name[] and name[0] are the same list.
LIST_NAME = re.compile(r"(?P<name>[a-z_]+)\[\d*\]")
KEY_NAME = re.compile(r"(?P<name>[a-z_]+)\[(?P<key>[^\]]*)\]")


def text(fields: Fields, name: str) -> str | None:
    """The last value of a field without surrounding white space; None if it is absent or blank."""
    return dict(fields).get(name, "").strip() or None


def items(fields: Fields, name: str) -> list[str]:
    """A list in any encoding: repeated `name[]` or `name`, a JSON array, or comma-separated.

    Raises:
        InvalidRequest: it starts like a JSON array but is not an array of strings, or it has too many items.
    """
    return bracketed_items(fields, name) + bare_items(fields, name)


def bracketed_items(fields: Fields, name: str) -> list[str]:
    """The items that were sent as `name[]` or `name[0]`; errors as in `items`."""
    return _collect(
        name, [value for sent, value in fields if (match := LIST_NAME.fullmatch(sent)) and match["name"] == name]
    )


def bare_items(fields: Fields, name: str) -> list[str]:
    """The items that were sent as `name`; errors as in `items`."""
    return _collect(name, [value for sent, value in fields if sent == name])


def keys(fields: Fields, name: str) -> dict[str, str]:
    """An object that was sent as `name[key]` fields: its keys and values, without blank ones."""
    matches = ((KEY_NAME.fullmatch(sent), value.strip()) for sent, value in fields)
    return {match["key"]: value for match, value in matches if match and match["name"] == name and value}


def shown(value: str) -> str:
    """A value as error messages quote it: escaped, and at most 60 characters."""
    return repr(value[:60])


def _collect(name: str, values: Sequence[str]) -> list[str]:
    collected: list[str] = []
    for value in values:
        collected.extend(_split(name, value.strip()))
        if len(collected) > MAX_ITEMS:
            raise InvalidRequest(f"{name}: more than {MAX_ITEMS} items.", param=name)
    return collected


def _split(name: str, value: str) -> list[str]:
    if not value.startswith("["):
        return [item.strip() for item in value.split(",") if item.strip()]
    try:
        listed = json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{name}: {shown(value)} is not a JSON array.", param=name) from None
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise InvalidRequest(f"{name}: {shown(value)} is not a list of strings.", param=name)
    return [item.strip() for item in listed if item.strip()]
