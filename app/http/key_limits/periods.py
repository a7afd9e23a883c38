"""The minutes and days over which requests and audio are counted, and OpenAI's headers about them. Pure.

Periods are those of the clock, in UTC, so that all workers agree on them without asking each other.
Source: OpenAI's guide to rate limits, https://platform.openai.com/docs/guides/rate-limits
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MINUTE_S: Final = 60
DAY_S: Final = 86_400
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Period:
    """A minute or a day.

    Attributes:
        name: such as 2026-01-31T23:59 or 2026-01-31, in UTC.
        ends_s: Unix time at which the next one begins.
    """

    name: str
    ends_s: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a limit on requests stands.

    Attributes:
        resets_in_s: seconds until all of them are available again.
    """

    limit: int
    remaining: int
    resets_in_s: float


def minute_of(now_s: float) -> Period:
    """The minute of a Unix time."""
    begins_s = math.floor(now_s / MINUTE_S) * MINUTE_S
    return Period(f"{datetime.fromtimestamp(begins_s, UTC):%Y-%m-%dT%H:%M}", begins_s + MINUTE_S)


def day_of(now_s: float) -> Period:
    """The day of a Unix time."""
    begins_s = math.floor(now_s / DAY_S) * DAY_S
    return Period(f"{datetime.fromtimestamp(begins_s, UTC):%Y-%m-%d}", begins_s + DAY_S)


def standing(*, limit: int, used: int, now_s: float) -> Standing:
    """How a limit on requests per minute stands.

    Args:
        limit: requests in one minute.
        used: how many of them were used in the minute of `now_s`.
        now_s: Unix time.
    """
    if used <= 0:
        return Standing(limit, limit, 0.0)
    return Standing(limit, max(0, limit - used), minute_of(now_s).ends_s - now_s)


def headers_of(now: Standing) -> Mapping[str, str]:
    """OpenAI's headers about the limit on requests."""
    return {
        "x-ratelimit-limit-requests": str(now.limit),
        "x-ratelimit-remaining-requests": str(now.remaining),
        "x-ratelimit-reset-requests": duration(now.resets_in_s),
    }


def duration(seconds: float) -> str:
    """A duration in OpenAI's form: 0s, 20ms, 8.64s, 6m0s, 1h0m0.5s; rounded up to milliseconds."""
    total_ms = math.ceil(round(seconds * 1000, 3))
    if total_ms <= 0:
        return "0s"
    if total_ms < 1000:  # noqa: PLR2004 - milliseconds of a second
        return f"{total_ms}ms"
    hours, rest_ms = divmod(total_ms, _HOUR_MS)
    minutes, rest_ms = divmod(rest_ms, _MINUTE_MS)
    text = f"{rest_ms / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
