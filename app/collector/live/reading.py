"""What a reader misses, read from the store page by page as the frames that would have told it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator
from typing import Final

from app.collector.render.frames import Frame, frames
from app.collector.rows import Change, MeetingRow, SegmentRow
from app.collector.storage import Storage

PAGE_ROWS: Final = 200


async def missed(store: Storage, meeting: MeetingRow, *, since_seq: int, now_ms: int) -> AsyncGenerator[Frame, None]:
    """Yield frames for what changed after `since_seq`, up to the meeting's `seq`; the last one has that `seq`.

    The last frame tells the meeting's status. A row that changes meanwhile is left out: a later frame, or the next
    reading, tells of it.

    Args:
        store: read in pages, so that nobody holds a whole transcript.
        meeting: as read just before.
        since_seq: what the reader has; 0: nothing.
        now_ms: Unix ms, for `ts`.

    Raises:
        DatabaseAway: what was yielded may be yielded again.
    """
    cursor = None
    more = True
    while more:
        page = await store.segments(
            meeting.id, limit=PAGE_ROWS, cursor=cursor, since_seq=since_seq, drafts=True, hidden=True
        )
        cursor = page.next_cursor
        more = cursor is not None
        rows = tuple(row for row in page.items if row.seq <= meeting.seq and (since_seq or _is_shown(row)))
        if not rows and more:
            continue
        reached = meeting if not more else dataclasses.replace(meeting, seq=since_seq)
        for frame in frames(Change(reached, since_seq, rows, status_changed=not more), now_ms=now_ms):
            yield frame


def _is_shown(row: SegmentRow) -> bool:
    """A reader that has nothing need not remove anything."""
    return not row.deleted and row.hidden_by is None
