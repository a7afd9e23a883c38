"""What a reader misses, read from the store page by page as the frames that would have told it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator
from typing import Final

from app.collector.render.frames import Frame, frames
from app.collector.rows import Change, MeetingRow, SegmentRow
from app.collector.storage import Storage

PAGE_ROWS: Final = 200
MAX_CHARACTERS: Final = 200_000  # of one frame: many clients refuse more than a megabyte


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
        part: list[SegmentRow] = []
        for row in rows:
            if part and sum(map(_size, part)) + _size(row) > MAX_CHARACTERS:
                for frame in _unfinished(meeting, since_seq, part, now_ms):
                    yield frame
                part = []
            part.append(row)
        if not more:
            last = Change(meeting, since_seq, tuple(part), status_changed=True)
            for frame in frames(last, now_ms=now_ms):
                yield frame
        elif part:
            for frame in _unfinished(meeting, since_seq, part, now_ms):
                yield frame


def _unfinished(meeting: MeetingRow, since_seq: int, rows: list[SegmentRow], now_ms: int) -> list[Frame]:
    """Frames after which more follow, so the reader stays where it was."""
    return frames(Change(dataclasses.replace(meeting, seq=since_seq), since_seq, tuple(rows)), now_ms=now_ms)


def _size(row: SegmentRow) -> int:
    """About how many characters a segment has in a frame."""
    return 600 + len(row.text) + 100 * len(row.words or ())


def _is_shown(row: SegmentRow) -> bool:
    """A reader that has nothing need not remove anything."""
    return not row.deleted and row.hidden_by is None
