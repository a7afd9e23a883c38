"""Rows as the read API shows them. Pure.

Source: Vexa v0.9 to v0.12, whose clients read either spelling of the times, so both are sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from app.collector.meeting_rooms import meeting_url
from app.collector.rows import MeetingRow, SegmentRow
from app.collector.segment_ids import shown_id


def iso(unix_ms: int) -> str:
    """A time in UTC with a trailing Z; microseconds are written unless they are 0."""
    seconds, ms = divmod(unix_ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None, microsecond=ms * 1000).isoformat() + "Z"


def segment_json(row: SegmentRow) -> dict[str, Any]:
    """A segment. `start` and `end` are seconds of its session; the absolute times order segments of a meeting.

    `hidden_by`, `promoted`, `deleted`, `words`, `speaker_key` and `source` appear only where they say something.
    """
    start, end = row.start_ms / 1000, row.end_ms / 1000
    return {
        "start": start,
        "end": end,
        "start_time": start,
        "end_time": end,
        "text": row.text,
        "language": row.language,
        "speaker": row.speaker,
        "completed": row.completed,
        "absolute_start_time": iso(row.abs_start_ms),
        "absolute_end_time": iso(row.abs_end_ms),
        "segment_id": shown_id(row.session_key, row.key),
        "session_uid": row.session_uid,
        "speaker_mapping_status": row.speaker_status,
        "created_at": iso(row.created_ms),
        "seq": row.seq,
        **_only_what_is_said(row),
    }


def transcript_json(
    meeting: MeetingRow, segments: Iterable[SegmentRow], *, next_cursor: str | None = None
) -> dict[str, Any]:
    """A meeting with its segments, in the order in which they come."""
    return {
        **transcript_head_json(meeting),
        "segments": [segment_json(row) for row in segments],
        "next_cursor": next_cursor,
    }


def transcript_head_json(meeting: MeetingRow) -> dict[str, Any]:
    """A transcript without its segments."""
    return {
        **_identity(meeting),
        "status": meeting.status,
        "start_time": _iso_or_none(meeting.start_ms),
        "end_time": _iso_or_none(meeting.end_ms),
        "recordings": [],
        "notes": meeting.data.get("notes"),
        "data": meeting.data,
        "seq": meeting.seq,
        "complete": meeting.complete,
    }


def meeting_json(meeting: MeetingRow) -> dict[str, Any]:
    """A meeting without its transcript."""
    identity = _identity(meeting)
    return {
        "id": identity.pop("id"),
        "user_id": meeting.owner_id,
        **identity,
        "status": meeting.status,
        "bot_container_id": None,
        "start_time": _iso_or_none(meeting.start_ms),
        "end_time": _iso_or_none(meeting.end_ms),
        "completion_reason": None,
        "failure_stage": None,
        "data": meeting.data,
        "created_at": iso(meeting.created_ms),
        "updated_at": iso(meeting.updated_ms),
    }


def _identity(meeting: MeetingRow) -> dict[str, Any]:
    return {
        "id": meeting.id,
        "platform": meeting.platform,
        "native_meeting_id": meeting.native_id,
        "constructed_meeting_url": meeting_url(meeting.platform, meeting.native_id),
    }


def _iso_or_none(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else iso(unix_ms)


def _only_what_is_said(row: SegmentRow) -> dict[str, Any]:
    details: dict[str, Any] = {
        "hidden_by": shown_id(row.session_key, row.hidden_by) if row.hidden_by else None,
        "promoted": row.promoted or None,
        "deleted": row.deleted or None,
        "words": list(row.words) if row.words else None,
        "speaker_key": row.speaker_key,
        "source": row.source,
    }
    return {name: value for name, value in details.items() if value is not None}
