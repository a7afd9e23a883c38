"""Parameters of the routes, with their bounds; FastAPI checks them and the document shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from fastapi import Path, Query

from app.collector.api.errors import invalid

MAX_ID: Final = 2**63 - 1
MAX_SEQ: Final = 2**63 - 1
PLATFORM_PATTERN: Final = "^[a-z0-9_]{1,100}$"
# No control characters: no producer sends them, and PostgreSQL refuses one of them.
TEXT_PATTERN: Final = r"^[^\x00-\x1f\x7f]*$"

PlatformName = Annotated[str, Path(pattern=PLATFORM_PATTERN, description="Such as `google_meet`, `zoom` or `teams`.")]
NativeId = Annotated[
    str,
    Path(min_length=1, max_length=255, pattern=TEXT_PATTERN, description="The meeting's id on its platform."),
]
MeetingNumber = Annotated[int, Path(ge=1, le=MAX_ID, description="The meeting's number here.")]
MeetingChoice = Annotated[
    int | None,
    Query(alias="meeting_id", ge=1, le=MAX_ID, description="A meeting of this room other than the newest."),
]
Cursor = Annotated[
    str | None,
    Query(max_length=500, pattern=TEXT_PATTERN, description="`next_cursor` of the page before."),
]
PlatformFilter = Annotated[str | None, Query(alias="platform", pattern=PLATFORM_PATTERN)]
StatusFilter = Annotated[str | None, Query(alias="status", pattern="^[a-z_]{1,50}$")]
SpeakerFilter = Annotated[
    str | None,
    Query(alias="speaker", min_length=1, max_length=255, pattern=TEXT_PATTERN, description="The whole name."),
]
Words = Annotated[
    str,
    Query(
        alias="q",
        min_length=1,
        max_length=200,
        pattern=TEXT_PATTERN,
        description='Words that must all occur, `"a phrase"`, or `begin*`.',
    ),
]
Moment = Annotated[
    str | None,
    Query(max_length=40, description="ISO 8601, such as `2026-02-15` or `2026-02-15T09:20:00Z`; UTC without a zone."),
]
_LOST_PLUS: Final = re.compile(r"(T[\d:.]+) (\d\d:?\d\d)$")  # a "+" that was not escaped arrives as a space
FormatName = Literal["json", "srt", "vtt", "txt"]
FormatChoice = Annotated[
    FormatName | None,
    Query(alias="format", description="Answer a file with the final segments. Else the Accept header may ask for one."),
]


def unix_ms(name: str, moment: str | None) -> int | None:
    """Read a moment.

    Raises:
        ApiError: it is not ISO 8601, or not a year from 1 to 9999.
    """
    if moment is None:
        return None
    try:
        read = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", moment.strip()))
        at = read if read.tzinfo else read.replace(tzinfo=UTC)
        return round(at.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise invalid(name, moment, "is not a time such as 2026-02-15T09:20:00Z") from None
