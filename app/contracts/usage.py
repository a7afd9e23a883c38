"""The body of GET /v1/usage: the limits of the caller's key, and what it has used of them.

An addition to OpenAI's routes, written in their style: times are Unix seconds, and no key is ever left out.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, with_config
from typing_extensions import TypedDict  # before Python 3.12 pydantic does not accept typing.TypedDict

Number = int | float  # a whole number stays one in JSON

_EXAMPLE: Final[dict[str, JsonValue]] = {
    "object": "usage",
    "name": "alice",
    "tiers": ["realtime", "standard"],
    "requests_per_minute": {"limit": 60, "used": 3, "remaining": 57, "resets_at": 1767225660},
    "concurrent": {"limit": 4, "used": 1, "remaining": 3, "resets_at": None},
    "audio_seconds_per_day": {"limit": 36000, "used": 1234.5, "remaining": 34765.5, "resets_at": 1767312000},
}


class LimitUsage(TypedDict):
    """One limit, and what is used of it."""

    limit: Annotated[Number | None, Field(ge=1, description="null: there is no limit; it is counted all the same.")]
    used: Annotated[Number, Field(ge=0)]
    remaining: Annotated[Number | None, Field(ge=0, description="null without a limit.")]
    resets_at: Annotated[
        int | None, Field(description="Unix time at which `used` is 0 again; null for concurrent requests.")
    ]


@with_config({"json_schema_extra": {"examples": [_EXAMPLE]}})
class UsageBody(TypedDict):
    """What a key may do and has done. A key without a name has no limits, and nothing of it is counted: all null."""

    object: Literal["usage"]
    name: Annotated[str | None, Field(description="Name of the key in the keys file.")]
    tiers: Annotated[
        list[Literal["realtime", "standard", "deferred"]] | None, Field(description="Those it may use; null: all.")
    ]
    requests_per_minute: Annotated[LimitUsage | None, Field(description="Requests in this minute of the clock.")]
    concurrent: Annotated[LimitUsage | None, Field(description="Requests at this moment.")]
    audio_seconds_per_day: Annotated[LimitUsage | None, Field(description="Seconds of audio of files, this day (UTC).")]
