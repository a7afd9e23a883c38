"""Read the values of a form: texts, numbers, yes or no, lists in three encodings. Pure.

Blank means absent, a field sent twice counts the last time (lists gather), and a wrong value is named
with what is allowed. Source: what the OpenAI SDKs, Vexa and popular clients really send; docs/api.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TypeVar

from app.core.errors import InvalidRequest

T = TypeVar("T")

Fields = Sequence[tuple[str, str]]

TRUE = frozenset({"true", "1", "yes", "on", "y", "t"})
FALSE = frozenset({"false", "0", "no", "off", "n", "f"})
MAX_ITEMS = 1000  # far more than there are languages; each is looked up on the event loop
# What forms say for JSON's null.
NULL = frozenset({"null", "none", "undefined"})
# name, name[] and name[0] are the same list.
LIST_NAME = re.compile(r"^(?P<name>[a-z_]+)\[\d*\]$")


def text(fields: Fields, name: str) -> str | None:
    """The last value of a field without the white space around it; None if it is absent or blank."""
    return dict(fields).get(name, "").strip() or None


def number(fields: Fields, name: str, *, low: float, high: float) -> float | None:
    """A finite number in a range.

    Raises:
        InvalidRequest: with the range.
    """
    asked = text(fields, name)
    return None if asked is None else number_of(name, asked, low=low, high=high)


def number_of(name: str, value: object, *, low: float, high: float) -> float:
    """A text or a JSON number as a finite number in a range.

    Raises:
        InvalidRequest: with the range.
    """
    try:
        # JSON's true is no number, though Python would take it for 1
        parsed = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        parsed = math.nan
    if not low <= parsed <= high:  # NaN is in no range
        raise InvalidRequest(f"{name}: {shown(str(value))} is not a number from {low:g} to {high:g}.", param=name)
    return parsed


def boolean(fields: Fields, name: str) -> bool | None:
    """Yes or no, however it was spelled.

    Raises:
        InvalidRequest: neither.
    """
    asked = text(fields, name)
    if asked is None or asked.lower() in NULL:
        return None
    if asked.lower() in TRUE | FALSE:
        return asked.lower() in TRUE
    raise InvalidRequest(f"{name}: {shown(asked)} is not true or false.", param=name)


def one_of(name: str, value: str, allowed: Sequence[T]) -> T:
    """The member of a closed set that a value spells.

    Raises:
        InvalidRequest: with the set.
    """
    for candidate in allowed:
        if candidate == value:
            return candidate
    raise InvalidRequest(
        f"{name}: {shown(value)} is not one of {', '.join(str(each) for each in allowed)}.", param=name
    )


def items(fields: Fields, name: str) -> list[str]:
    """A list in any encoding: repeated `name[]` or `name`, a JSON array, or commas.

    Raises:
        InvalidRequest: it begins like a JSON array of strings and is none.
    """
    return items_spelled(fields, name, bracketed=True) + items_spelled(fields, name, bracketed=False)


def items_spelled(fields: Fields, name: str, *, bracketed: bool) -> list[str]:
    """The part of a list that was sent as `name[]`, or the part that was sent as `name`.

    Raises:
        InvalidRequest: it begins like a JSON array of strings and is none, or has too many items.
    """
    gathered: list[str] = []
    for key, value in fields:
        match = LIST_NAME.match(key)
        if (match["name"] if match else key) == name and bool(match) == bracketed:
            gathered.extend(_items_of(value, name))
        if len(gathered) > MAX_ITEMS:
            raise InvalidRequest(f"{name}: more than {MAX_ITEMS} items.", param=name)
    return gathered


def shown(value: str) -> str:
    """A value as a message shows it: quoted, escaped, and never long."""
    return repr(value[:60])


def _items_of(value: str, name: str) -> list[str]:
    value = value.strip()
    if not value.startswith("["):
        return [item.strip() for item in value.split(",") if item.strip()]
    try:
        listed = json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{name}: {shown(value)} is not a JSON array.", param=name) from None
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise InvalidRequest(f"{name}: {shown(value)} is not a list of strings.", param=name)
    return [item.strip() for item in listed if item.strip()]
