"""The bodies of the read API, for its document and for checking what clients send.

Answers are built by app/collector/render; tests compare both.
Source: Vexa v0.9 to v0.12, and fields of our own.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # before Python 3.12 pydantic does not accept typing.TypedDict

from app.collector.api.params import PLATFORM_PATTERN, TEXT_PATTERN

Name = Annotated[str, Field(max_length=255)]
Iso = Annotated[str, Field(description="UTC, ISO 8601 with a trailing Z.")]


class ErrorBody(TypedDict):
    """What was wrong, with which value, and the remedy."""

    detail: str


class SegmentBody(TypedDict):
    """A segment; `start` and `end` are seconds of its session, the absolute times order segments of a meeting."""

    start: float
    end: float
    start_time: float
    end_time: float
    text: str
    language: str | None
    speaker: str | None
    completed: Annotated[bool, Field(description="False: a draft, which may change.")]
    absolute_start_time: Iso
    absolute_end_time: Iso
    segment_id: Annotated[str, Field(description="Unique within the meeting; merge by it.")]
    session_uid: str | None
    speaker_mapping_status: str | None
    created_at: Iso
    seq: Annotated[int, Field(description="The meeting's seq when this segment last changed.")]
    hidden_by: NotRequired[str]
    promoted: NotRequired[bool]
    deleted: NotRequired[Annotated[bool, Field(description="Only with since_seq: remove this segment.")]]
    words: NotRequired[list[dict[str, Any]]]
    speaker_key: NotRequired[str]
    source: NotRequired[str]


class MeetingBody(TypedDict):
    """A meeting without its transcript."""

    id: int
    user_id: int
    platform: str
    native_meeting_id: str | None
    constructed_meeting_url: str | None
    status: str
    bot_container_id: None
    start_time: Iso | None
    end_time: Iso | None
    completion_reason: None
    failure_stage: None
    data: dict[str, Any]
    created_at: Iso
    updated_at: Iso


class TranscriptBody(TypedDict):
    """A meeting with its segments in reading order."""

    id: int
    platform: str
    native_meeting_id: str | None
    constructed_meeting_url: str | None
    status: str
    start_time: Iso | None
    end_time: Iso | None
    recordings: list[Any]
    notes: str | None
    data: dict[str, Any]
    seq: Annotated[int, Field(description="Counts the changes of this meeting.")]
    complete: Annotated[bool | None, Field(description="Every final that was counted is here; null: nobody counted.")]
    segments: list[SegmentBody]
    next_cursor: str | None


class MeetingsBody(TypedDict):
    """A page of the meetings, newest first."""

    meetings: list[MeetingBody]
    has_more: bool
    next_cursor: str | None


class HitBody(TypedDict):
    """A segment that matches."""

    meeting: MeetingBody
    segment: SegmentBody
    snippet: Annotated[str, Field(description="HTML: matches between <b> and </b>, everything else is escaped.")]


class SearchBody(TypedDict):
    """A page of what matches."""

    hits: list[HitBody]
    next_cursor: str | None


class MessageBody(TypedDict):
    """What was done."""

    message: str


class MeetingData(TypedDict, total=False):
    """What people add to a meeting; other fields are ignored."""

    name: Name | None
    participants: Annotated[list[Name], Field(max_length=100)] | None
    languages: Annotated[list[Annotated[str, Field(max_length=16)]], Field(max_length=50)] | None
    notes: Annotated[str, Field(max_length=10_000)] | None


class MeetingPatch(TypedDict):
    """A change of a meeting."""

    data: MeetingData


class WantedMeeting(TypedDict):
    """A meeting that somebody wants to follow."""

    platform: Annotated[str, Field(max_length=100)]
    native_meeting_id: Annotated[str, Field(max_length=255)]


class WantedMeetings(TypedDict):
    """Meetings that somebody wants to follow."""

    meetings: Annotated[list[WantedMeeting], Field(max_length=100)]


class AuthorizedMeeting(TypedDict):
    """A meeting that the key's owner may follow; numbers are texts, as in Vexa."""

    platform: str
    native_id: str
    user_id: str
    meeting_id: str


class AuthorizedBody(TypedDict):
    """Which meetings may be followed."""

    authorized: list[AuthorizedMeeting]
    errors: list[str]
    user_id: int


class RootBody(TypedDict):
    """Name and state of the service."""

    service: str
    status: str
    endpoints: dict[str, str]


PATCH: Final = TypeAdapter(MeetingPatch)
WANTED: Final = TypeAdapter(WantedMeetings)
PLATFORM: Final = TypeAdapter(Annotated[str, Field(pattern=PLATFORM_PATTERN)])
NATIVE_ID: Final = TypeAdapter(Annotated[str, Field(min_length=1, max_length=255, pattern=TEXT_PATTERN)])
