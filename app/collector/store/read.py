"""Queries of the read API."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Row, Select, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.rows import MeetingRow, Page, SegmentRow, SessionRow
from app.collector.store.cursors import read_cursor, write_cursor
from app.collector.store.merge import EVENT
from app.collector.store.tables import MEETINGS, SEGMENTS, SESSIONS

_M, _S, _T = MEETINGS.c, SESSIONS.c, SEGMENTS.c
MEETING_FIELDS: Final[tuple[Any, ...]] = (
    _M.id, _M.owner_id, _M.platform, _M.native_meeting_id, _M.status, _M.start_ms, _M.end_ms, _M.data, _M.seq,
    _M.complete, _M.created_ms, _M.updated_ms,
)  # fmt: skip
# In the order of SegmentRow's fields; session columns under names of their own.
SEGMENT_FIELDS: Final[tuple[Any, ...]] = (
    _T.id, _T.meeting_id, _S.session_key, _S.session_uid, _T.segment_key, _T.start_ms, _T.end_ms, _T.abs_start_ms,
    _T.abs_end_ms, _T.text, _T.language, _T.speaker, _T.speaker_key, _T.speaker_status, _T.source, _T.completed,
    _T.promoted, _T.deleted, _T.hidden_by, _T.words, _T.seq, _T.created_ms, _T.updated_ms,
)  # fmt: skip
_WORDS: Final = SEGMENT_FIELDS.index(_T.words)
# One order for every reader: sessions never interleave where their times do not.
_READING_ORDER: Final = (_T.abs_start_ms, _S.start_ms, _T.start_ms, _T.segment_key, _S.session_key)


async def newest_meeting(
    connection: AsyncConnection, owner_id: int, platform: str, native_id: str, *, meeting_id: int | None
) -> MeetingRow | None:
    """The newest meeting of a room, or the one with this number; None if there is none, or it was deleted."""
    statement = select(*MEETING_FIELDS).where(
        _M.owner_id == owner_id,
        _M.platform == platform,
        _M.native_meeting_id == native_id,
        _M.deleted_ms.is_(None),
    )
    if meeting_id is not None:
        statement = statement.where(_M.id == meeting_id)
    newest = statement.order_by(_M.created_ms.desc(), _M.id.desc()).limit(1)
    row = (await connection.execute(newest)).one_or_none()
    return None if row is None else MeetingRow(*row)


async def meeting_by_id(connection: AsyncConnection, owner_id: int, meeting_id: int) -> MeetingRow | None:
    """One meeting of an owner."""
    statement = select(*MEETING_FIELDS).where(_M.id == meeting_id, _M.owner_id == owner_id, _M.deleted_ms.is_(None))
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else MeetingRow(*row)


async def list_meetings(
    connection: AsyncConnection,
    owner_id: int,
    *,
    status: str | None,
    platform: str | None,
    limit: int,
    offset: int,
    cursor: str | None,
) -> Page[MeetingRow]:
    """An owner's meetings, newest first. A cursor goes before an offset."""
    statement = select(*MEETING_FIELDS).where(_M.owner_id == owner_id, _M.deleted_ms.is_(None))
    if status is not None:
        statement = statement.where(_M.status == status)
    if platform is not None:
        statement = statement.where(_M.platform == platform)
    if cursor is not None:
        created_ms, meeting_id = read_cursor(cursor, int, int)
        statement = statement.where(
            or_(_M.created_ms < created_ms, and_(_M.created_ms == created_ms, _M.id < meeting_id))
        )
    statement = statement.order_by(_M.created_ms.desc(), _M.id.desc()).limit(limit + 1)
    rows = [MeetingRow(*row) for row in await connection.execute(statement.offset(0 if cursor else offset))]
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return Page(tuple(rows[:limit]), None if last is None else write_cursor(last.created_ms, last.id))


async def list_segments(
    connection: AsyncConnection,
    meeting_id: int,
    *,
    limit: int | None,
    cursor: str | None,
    since_seq: int | None,
    drafts: bool,
    hidden: bool,
) -> Page[SegmentRow]:
    """Segments in reading order.

    With `since_seq`: those that changed after it, and those that readers must remove have `deleted` set.
    """
    statement = segments_with_session(SEGMENT_FIELDS, _S.start_ms.label("session_start_ms"))
    statement = statement.where(_T.meeting_id == meeting_id)
    if since_seq is not None:
        statement = statement.where(_T.seq > since_seq)
    else:
        statement = statement.where(_T.deleted.is_(False))
        if not hidden:
            statement = statement.where(_T.hidden_by.is_(None))
    if not drafts:
        statement = statement.where(_T.completed.is_(True))
    if cursor is not None:
        statement = statement.where(tuple_(*_READING_ORDER) > tuple_(*read_cursor(cursor, int, int, int, str, str)))
    statement = statement.order_by(*_READING_ORDER)
    found = (await connection.execute(statement if limit is None else statement.limit(limit + 1))).all()
    rows = tuple(segment_of(row, hidden=hidden) for row in found[:limit])
    if limit is None or len(found) <= limit:
        return Page(rows)
    last = rows[-1]
    position = last.abs_start_ms, found[limit - 1].session_start_ms, last.start_ms, last.key, last.session_key
    return Page(rows, write_cursor(*position))


def segments_with_session(*columns: Any) -> Select[Any]:
    """Segments, and the session of each."""
    flat = [each for group in columns for each in (group if isinstance(group, tuple) else (group,))]
    return select(*flat).join_from(SEGMENTS, SESSIONS, _T.session_id == _S.id)


def segment_of(row: Row[Any], *, hidden: bool) -> SegmentRow:
    """A segment from the first columns of a row; a hidden one is as good as deleted for who does not see those."""
    values = list(row[: len(SEGMENT_FIELDS)])
    if values[_WORDS] is not None:
        values[_WORDS] = tuple(values[_WORDS])
    segment = SegmentRow(*values)
    return segment if hidden or segment.hidden_by is None else replace(segment, deleted=True)


async def list_sessions(connection: AsyncConnection, meeting_id: int) -> tuple[SessionRow, ...]:
    """A meeting's sessions by their start."""
    statement = select(_S.session_key, _S.session_uid, _S.start_ms, _S.start_source, _S.end_ms)
    found = await connection.execute(statement.where(_S.meeting_id == meeting_id).order_by(_S.start_ms, _S.session_key))
    return tuple(
        SessionRow(row.session_key, row.session_uid, row.start_ms, row.start_source != EVENT, row.end_ms)
        for row in found
    )


async def seqs(connection: AsyncConnection, meeting_ids: Collection[int]) -> dict[int, int]:
    """The `seq` of each of these meetings; unknown and deleted ones are left out."""
    statement = select(_M.id, _M.seq).where(_M.id.in_(sorted(meeting_ids)), _M.deleted_ms.is_(None))
    return {row.id: row.seq for row in await connection.execute(statement)}
