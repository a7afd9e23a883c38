"""Values of stream entries, read strictly: producers are many, and some are hostile. Pure.

Each reader returns the value or raises `BadValue`. No message holds the value itself: it may be what somebody said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from app.collector.wire.errors import BadValue

T = TypeVar("T")

MAX_TEXT_CHARACTERS: Final = 65_536  # an hour of speech; PostgreSQL indexes up to 1 MB
MAX_NAME_CHARACTERS: Final = 255
EPOCH_FROM_S: Final = 1e9  # times from here on count from 1970, not from the session's start
MAX_RELATIVE_S: Final = 24 * 86_400.0  # in milliseconds still a 32-bit integer
_EARLIEST_MS: Final = 946_684_800_000  # 2000
_LATEST_MS: Final = 4_102_444_800_000  # 2100
_MAX_COUNT: Final = 2**31 - 1
_MAX_PROBLEMS: Final = 20
_MAX_WORDS: Final = 10_000
_MAX_PLAIN_NUMBER: Final = 1e15
_NUMBER: Final = re.compile(r"\s*[+-]?\d{1,20}(\.\d{0,20})?(e[+-]?\d{1,2})?\s*", re.ASCII | re.IGNORECASE)
_UNSTORABLE: Final = re.compile("[\ud800-\udfff]")  # half a character; no database takes it


class Problems:
    """What could not be used of an entry, collected while the rest is read."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def note(self, reason: str) -> None:
        """Add a reason."""
        self._reasons.append(reason)

    def optional(self, name: str, value: Any, read: Callable[[Any], T]) -> T | None:
        """Read a value that may be missing; an unusable one is noted and counts as missing."""
        if value is None:
            return None
        try:
            return read(value)
        except BadValue as error:
            self.note(f"{name} {error}")
            return None

    def reasons(self) -> tuple[str, ...]:
        """The reasons in the order they were found; of very many only the first."""
        more = len(self._reasons) - _MAX_PROBLEMS
        return (*self._reasons[:_MAX_PROBLEMS], *([f"{more} more problems"] if more > 0 else []))


def speech(value: Any) -> str:
    """Return what was said, without white space around it; NUL, which PostgreSQL refuses, becomes U+FFFD."""
    if not isinstance(value, str):
        raise BadValue("is missing" if value is None else "is not a string")
    if len(value) > MAX_TEXT_CHARACTERS:
        raise BadValue(f"has {len(value)} characters; the limit is {MAX_TEXT_CHARACTERS}")
    if _UNSTORABLE.search(value):
        raise BadValue("holds half a surrogate pair")
    return value.replace("\0", "\ufffd").strip()


def name(value: Any, limit: int = MAX_NAME_CHARACTERS) -> str | None:
    """Return an identifier or a person's name; whole numbers become text, an empty text is None."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BadValue("is neither a string nor a whole number")
    value = value.strip()
    if len(value) > limit:
        raise BadValue(f"has {len(value)} characters; the limit is {limit}")
    if _UNSTORABLE.search(value) or "\0" in value:
        raise BadValue("holds half a surrogate pair or NUL")
    return value or None


def flag(value: Any) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise BadValue("is not a boolean")
    return value


def count(value: Any) -> int:
    """Return a whole number from 0."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_COUNT:
        raise BadValue(f"is not a whole number from 0 to {_MAX_COUNT}")
    return value


def number(value: Any) -> float:
    """Return a finite number, given as one or as text (`"3.200"`)."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue("is not a number")
    try:
        read = float(value)
    except OverflowError:
        raise BadValue("is too large") from None
    if not math.isfinite(read):
        raise BadValue("is not finite")
    return read


def time_s(value: Any) -> float:
    """Return a time in seconds: since the session's start, or (from 1e9 on) since 1970."""
    read = number(value)
    if read < 0:
        raise BadValue("is negative")
    if MAX_RELATIVE_S < read < EPOCH_FROM_S:
        raise BadValue(f"is neither within {MAX_RELATIVE_S:.0f} s of the session's start nor a Unix time")
    if read >= EPOCH_FROM_S:
        _plausible(read * 1000)
    return read


def unix_ms(value: Any) -> int:
    """Return a time as Unix ms, given as ISO 8601 (UTC unless it has an offset) or as Unix seconds."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        try:
            read = datetime.fromisoformat(value.strip())
            ms = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000
        except (ValueError, OverflowError):
            raise BadValue("is not a time in ISO 8601") from None
    else:
        ms = number(value) * 1000
    _plausible(ms)
    return round(ms)


def words(value: Any) -> tuple[dict[str, Any], ...]:
    """Return words as the producer sent them: flat objects of texts and numbers."""
    if not isinstance(value, list) or len(value) > _MAX_WORDS:
        raise BadValue(f"is not a list of up to {_MAX_WORDS} words")
    for word in value:
        if not isinstance(word, dict) or not all(_is_plain(part) for pair in word.items() for part in pair):
            raise BadValue("holds something other than flat objects of texts and finite numbers")
    return tuple(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_NAME_CHARACTERS and "\0" not in value and not _UNSTORABLE.search(value)
    return (
        value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < _MAX_PLAIN_NUMBER)
    )


def _plausible(ms: float) -> None:
    if not _EARLIEST_MS <= ms < _LATEST_MS:
        raise BadValue("is not between the years 2000 and 2100")
