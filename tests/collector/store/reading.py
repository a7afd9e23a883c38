"""What a store shows, as plain values that tests compare."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from app.collector.rows import MeetingRow, SegmentRow
from app.collector.store.store import Store
from tests.collector.store.entries import ROOM

# Numbers that the order of arrival decides.
_ACCIDENTAL = ("id", "meeting_id", "seq", "created_ms", "updated_ms")


async def the_meeting(store: Store, native_id: str = str(ROOM.native_id), platform: str = "google_meet") -> MeetingRow:
    """The newest meeting of a room of owner 1."""
    found = await store.meeting(1, platform, native_id)
    assert found is not None
    return found


async def segments(store: Store, **options: Any) -> tuple[SegmentRow, ...]:
    """The segments of the only room's newest meeting."""
    meeting = await the_meeting(store)
    return (await store.segments(meeting.id, limit=None, **options)).items


async def texts(store: Store, **options: Any) -> list[str]:
    """Their texts."""
    return [row.text for row in await segments(store, **options)]


async def everything(store: Store) -> list[Any]:
    """All that readers see of all meetings, without what the order of arrival decides."""
    page = await store.meetings(1, status=None, platform=None, limit=100, offset=0, cursor=None)
    shown: list[Any] = []
    for meeting in page.items:
        rows = (await store.segments(meeting.id, limit=None, hidden=True)).items
        sessions = [asdict(each) for each in await store.sessions(meeting.id)]
        shown.append([_plain(meeting), sessions, [_plain(row) for row in rows]])
    return shown


def _plain(row: MeetingRow | SegmentRow) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name not in _ACCIDENTAL}
