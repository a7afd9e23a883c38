"""A meeting and its first segment, as the documentation of the read API shows them."""

from __future__ import annotations

from app.collector.rows import MeetingRow, SegmentRow

START_MS = 1771147203101  # 2026-02-15T09:20:03.101Z

MEETING = MeetingRow(
    id=129,
    owner_id=4,
    platform="google_meet",
    native_id="zqe-gfmd-knr",
    status="completed",
    start_ms=START_MS,
    end_ms=1771149731000,
    data={"name": "Standup"},
    seq=412,
    complete=True,
    created_ms=1771147203000,
    updated_ms=1771149732500,
)
HELLO = SegmentRow(
    id=1,
    meeting_id=129,
    session_key="01JQ8Z",
    session_uid="6f1c",
    key="01JQ8Z:0",
    start_ms=0,
    end_ms=3200,
    abs_start_ms=START_MS,
    abs_end_ms=START_MS + 3200,
    text="Hello everyone.",
    language="en",
    speaker="Alice",
    speaker_key=None,
    speaker_status="MAPPED",
    source=None,
    completed=True,
    promoted=False,
    deleted=False,
    hidden_by=None,
    words=None,
    seq=3,
    created_ms=1771147207000,
    updated_ms=1771147207000,
)
