"""Write back what a transaction changed, and say what readers see of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.rows import Change, SegmentRow
from app.collector.store.bulk import insert_rows, update_rows
from app.collector.store.complete import count_missing
from app.collector.store.merge import SILENT, VISIBLE, Segment, Session
from app.collector.store.search_words import search_text
from app.collector.store.state import MEETING_COLUMNS, SEGMENT_COLUMNS, SESSION_COLUMNS, Meeting
from app.collector.store.tables import MEETINGS, SEGMENTS, SESSIONS

_M, _S, _T = MEETINGS.c, SESSIONS.c, SEGMENTS.c


def _names(columns: Sequence[Any], kind: type) -> tuple[tuple[str, str], ...]:
    """Pairs of column and field; a class has more fields than its table columns."""
    return tuple(zip((each.name for each in columns), (each.name for each in fields(kind)), strict=False))


_MEETING: Final = _names(MEETING_COLUMNS, Meeting)
_SESSION: Final = _names(SESSION_COLUMNS, Session)
_SEGMENT: Final = _names(SEGMENT_COLUMNS, Segment)


async def save(connection: AsyncConnection, meetings: Iterable[Meeting]) -> tuple[Change, ...]:
    """Write meetings, sessions and segments that changed.

    Each meeting of which readers see a change gets the next `seq`, and so do its changed segments. The lock on the
    meeting makes `seq` grow in the order of the commits.
    """
    touched = sorted(meetings, key=lambda each: each.id)
    for meeting in touched:
        for session in meeting.sessions.values():
            session.segments = {key: row for key, row in session.segments.items() if not _never_shown(row)}
    visible = [meeting for meeting in touched if _is_visible(meeting)]
    before = {meeting.id: meeting.seq for meeting in visible}
    new_sessions = {meeting.id: _new_sessions(meeting) for meeting in visible}
    for meeting in visible:
        meeting.seq += 1
        meeting.change = VISIBLE
    await _save_sessions(connection, touched)
    await _save_segments(connection, touched)
    await _summarize(connection, visible)
    changed = [meeting for meeting in touched if meeting.change]
    await update_rows(connection, MEETINGS, [_values(each, _MEETING) for each in changed])
    owners = [{"meeting_id": each.id, "owner_id": each.owner_id} for each in changed if each.has_new_owner]
    await update_rows(connection, SEGMENTS, owners, key=("meeting_id",))
    return tuple(_change(each, before[each.id], new_sessions[each.id]) for each in visible)


def _never_shown(row: Segment) -> bool:
    """A draft that came and was replaced within this transaction."""
    return row.id is None and row.deleted and not row.completed


def _is_visible(meeting: Meeting) -> bool:
    return meeting.change == VISIBLE or any(
        session.change == VISIBLE or any(row.change == VISIBLE for row in session.segments.values())
        for session in meeting.sessions.values()
    )


def _new_sessions(meeting: Meeting) -> tuple[str, ...]:
    return tuple(sorted(session.key for session in meeting.sessions.values() if session.id is None))


async def _save_sessions(connection: AsyncConnection, meetings: Sequence[Meeting]) -> None:
    sessions = [session for meeting in meetings for session in meeting.sessions.values() if session.change]
    new = {(each.meeting_id, each.key): each for each in sessions if each.id is None}
    await update_rows(connection, SESSIONS, [_values(each, _SESSION) for each in sessions if each.id is not None])
    inserts = [_without_id(_values(each, _SESSION)) for each in new.values()]
    for row in await insert_rows(connection, SESSIONS, inserts, "id", "meeting_id", "session_key"):
        session = new[row[1], row[2]]
        session.id = row[0]
        for segment in session.segments.values():
            segment.session_id = session.id


async def _save_segments(connection: AsyncConnection, meetings: Sequence[Meeting]) -> None:
    new: dict[tuple[int | None, str], Segment] = {}
    inserts, updates, revisions = [], [], []
    for meeting in meetings:
        for session in meeting.sessions.values():
            for row in session.segments.values():
                if row.change == VISIBLE:
                    row.seq = meeting.seq
                    values = _values(row, _SEGMENT) | {"search_text": search_text(row.text)}
                    if row.id is None:
                        new[session.id, row.key] = row
                        inserts.append(_without_id(values) | {"meeting_id": meeting.id, "owner_id": meeting.owner_id})
                    else:
                        updates.append(values)
                elif row.change == SILENT:
                    revisions.append({"id": row.id, "rev_ms": row.rev_ms, "rev_n": row.rev_n})
    for found in await insert_rows(connection, SEGMENTS, inserts, "id", "session_id", "segment_key"):
        new[found[1], found[2]].id = found[0]
    await update_rows(connection, SEGMENTS, updates)
    await update_rows(connection, SEGMENTS, revisions)


async def _summarize(connection: AsyncConnection, meetings: Sequence[Meeting]) -> None:
    """Bring start, end and completeness of meetings up to date; from all their rows only where that is needed."""
    starts = {each.id: each for each in meetings if any(session.start_moved for session in each.sessions.values())}
    if starts:
        statement = select(_S.meeting_id, func.min(_S.start_ms)).where(_S.meeting_id.in_(sorted(starts)))
        for meeting_id, start_ms in await connection.execute(statement.group_by(_S.meeting_id)):
            starts[meeting_id].start_ms = start_ms
    for meeting in meetings:
        if not _extend_end(meeting):
            finals = (_T.meeting_id == meeting.id, _T.completed.is_(True), _T.deleted.is_(False))
            meeting.end_ms = (await connection.execute(select(func.max(_T.abs_end_ms)).where(*finals))).scalar()
    await count_missing(connection, meetings)


def _extend_end(meeting: Meeting) -> bool:
    """Let the meeting end with its last final; False if that final went or moved."""
    for session in meeting.sessions.values():
        for row in session.segments.values():
            if row.change == VISIBLE:
                end_ms = row.abs_end_ms if row.completed and not row.deleted else None
                if row.was_final_until_ms == meeting.end_ms is not None and (end_ms is None or end_ms < meeting.end_ms):
                    return False
                if end_ms is not None and (meeting.end_ms is None or end_ms > meeting.end_ms):
                    meeting.end_ms = end_ms
    return True


def _change(meeting: Meeting, prev_seq: int, new_sessions: tuple[str, ...]) -> Change:
    shown: list[tuple[tuple[Any, ...], SegmentRow]] = []
    gone: list[str] = []
    for session in meeting.sessions.values():
        for row in session.segments.values():
            if row.change == VISIBLE and row.is_shown:
                order = row.abs_start_ms, session.start_ms, row.start_ms, row.key, session.key
                shown.append((order, segment_row(meeting.id, session, row)))
            elif row.change == VISIBLE and row.was_shown:
                gone.append(row.key)
    shown.sort(key=lambda each: each[0])
    return Change(meeting.row(), prev_seq, tuple(row for _, row in shown), tuple(sorted(gone)), new_sessions)


def segment_row(meeting_id: int, session: Session, row: Segment) -> SegmentRow:
    """The segment as readers see it."""
    return SegmentRow(
        id=row.id or 0,
        meeting_id=meeting_id,
        session_key=session.key,
        session_uid=session.uid,
        key=row.key,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        abs_start_ms=row.abs_start_ms,
        abs_end_ms=row.abs_end_ms,
        text=row.text,
        language=row.language,
        speaker=row.speaker,
        speaker_key=row.speaker_key,
        speaker_status=row.speaker_status,
        source=row.source,
        completed=row.completed,
        promoted=row.promoted,
        deleted=row.deleted,
        hidden_by=row.hidden_by,
        words=tuple(row.words) if row.words else None,
        seq=row.seq,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
    )


def _values(row: Any, names: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {name: getattr(row, attribute) for name, attribute in names}


def _without_id(values: dict[str, Any]) -> dict[str, Any]:
    """For rows that the database numbers."""
    return {name: value for name, value in values.items() if name != "id"}
