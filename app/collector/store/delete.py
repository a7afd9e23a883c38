"""Delete what was said: texts, names and speaker events go, the meeting's times stay without its name.

Tombstones refuse what is still on its way. The caller removes the copies in Redis and empties the database's log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.errors import NotOver
from app.collector.facts import NO_SESSION, Revision
from app.collector.rows import Deletion
from app.collector.store.bulk import insert_rows
from app.collector.store.locks import lock_names, room_lock, session_locks
from app.collector.store.state import OVER, Meeting, load_sessions, lock_meetings
from app.collector.store.tables import MEETINGS, SEGMENTS, SESSIONS, SPEAKER_EVENTS, TOMBSTONES
from app.collector.store.tombstones import KEPT_MS, ROOM, SESSION, UID, Tombstone, room_hash, session_hash, uid_hash

_DAY_MS: Final = 86_400_000
_M, _S, _T, _E = MEETINGS.c, SESSIONS.c, SEGMENTS.c, SPEAKER_EVENTS.c


async def delete_meeting(
    connection: AsyncConnection, owner_id: int, platform: str, native_id: str, *, meeting_id: int | None, now_ms: int
) -> Deletion | None:
    """Delete the newest meeting of a room, or the one with this number.

    A meeting that was deleted before is found again by the hash of its name and stays as it is, so that a second
    deletion never takes the room's meeting before it.

    Raises:
        NotOver: it is still active.
    """
    statement = select(_M.id).where(_M.native_hash == room_hash(owner_id, platform, native_id))
    if meeting_id is not None:
        statement = statement.where(_M.id == meeting_id)
    found = (await connection.execute(statement.order_by(_M.created_ms.desc(), _M.id.desc()).limit(1))).scalar()
    return None if found is None else await _delete_if_over(connection, found, now_ms=now_ms)


async def delete_meeting_by_id(
    connection: AsyncConnection, owner_id: int, meeting_id: int, *, now_ms: int
) -> Deletion | None:
    """Delete the meeting with this number; one that was deleted before stays as it is.

    Raises:
        NotOver: it is still active.
    """
    statement = select(_M.id).where(_M.id == meeting_id, _M.owner_id == owner_id)
    found = (await connection.execute(statement)).scalar()
    return None if found is None else await _delete_if_over(connection, found, now_ms=now_ms)


async def _delete_if_over(connection: AsyncConnection, meeting_id: int, *, now_ms: int) -> Deletion:
    meeting = (await _lock(connection, [meeting_id]))[meeting_id]
    if meeting.deleted_ms is not None:
        return Deletion(meeting.row(), (), {})
    if meeting.status not in OVER:
        raise NotOver(f"Meeting not finalized; cannot delete transcripts. Current status: {meeting.status}")
    return await _delete(connection, meeting, now_ms=now_ms)


async def expire(connection: AsyncConnection, *, now_ms: int, retention_days: int, limit: int) -> tuple[Deletion, ...]:
    """Delete meetings that ended so long ago, and what else has expired. 0 days: no meeting expires."""
    await connection.execute(delete(TOMBSTONES).where(TOMBSTONES.c.until_ms < now_ms))
    await _forget_unused_events(connection, now_ms)
    if retention_days <= 0:
        return ()
    old = select(_M.id).where(
        _M.status.in_(OVER), _M.last_rev_ms < now_ms - retention_days * _DAY_MS, _M.deleted_ms.is_(None)
    )
    ids = (await connection.execute(old.order_by(_M.id).limit(limit))).scalars().all()
    if not ids:
        return ()
    await _lock(connection, ids)
    still = (await connection.execute(old.where(_M.id.in_(ids)))).scalars().all()
    meetings = await lock_meetings(connection, still)
    return tuple([await _delete(connection, meeting, now_ms=now_ms) for meeting in meetings.values()])


async def _lock(connection: AsyncConnection, meeting_ids: Sequence[int]) -> dict[int, Meeting]:
    """Lock meetings against entries that are being stored: those wait, and then find the tombstones."""
    locked: set[str] = set()
    while missing := await _lock_names_of(connection, meeting_ids) - locked:
        await lock_names(connection, missing)
        locked |= missing
    return await lock_meetings(connection, meeting_ids)


async def _lock_names_of(connection: AsyncConnection, meeting_ids: Sequence[int]) -> set[str]:
    """What a transaction locks that stores entries of these meetings, or speaker events of their sessions."""
    names: set[str] = set()
    rooms = select(_M.id, _M.native_hash).where(_M.id.in_(meeting_ids))
    for meeting_id, native_hash in await connection.execute(rooms):
        names |= {room_lock(meeting_id), room_lock(native_hash)}
    sessions = select(_S.session_key, _S.session_uid).where(_S.meeting_id.in_(meeting_ids))
    for key, uid in await connection.execute(sessions):
        names |= session_locks((key, uid))
    return names


async def _delete(connection: AsyncConnection, meeting: Meeting, *, now_ms: int) -> Deletion:
    before = meeting.row()
    await load_sessions(connection, {meeting.id: meeting})
    sessions = list(meeting.sessions.values())
    uids = sorted({uid for each in sessions for uid in (each.key, each.uid) if uid} - {NO_SESSION})
    deletion = Deletion(before, tuple(each.key for each in sessions), await _entry_ids(connection, meeting, uids))
    await insert_rows(connection, TOMBSTONES, [_row(each) for each in _tombstones(meeting, uids, now_ms)])
    await connection.execute(delete(SEGMENTS).where(_T.meeting_id == meeting.id))
    await connection.execute(delete(SPEAKER_EVENTS).where(_E.uid.in_(uids)))
    await connection.execute(delete(SESSIONS).where(_S.meeting_id == meeting.id))
    await connection.execute(
        update(MEETINGS)
        .where(_M.id == meeting.id)
        .values(native_meeting_id=None, data={"redacted": True}, deleted_ms=now_ms, updated_ms=now_ms, seq=_M.seq + 1)
    )
    if connection.dialect.name == "sqlite":
        # FTS5 only marks words as deleted; this writes the index anew without them.
        await connection.execute(text("INSERT INTO transcription_search(transcription_search) VALUES ('optimize')"))
    return deletion


def _tombstones(meeting: Meeting, uids: list[str], now_ms: int) -> list[Tombstone]:
    until_ms = now_ms + KEPT_MS
    last_ms = max(now_ms, meeting.last_rev_ms)
    sessions = [
        Tombstone(SESSION, session_hash(meeting.native_hash, key), 0, until_ms, until_ms)
        for key in meeting.sessions
        if key != NO_SESSION  # every producer without session ids has it: the room's tombstone refuses those by time
    ]
    events = [Tombstone(UID, uid_hash(uid), 0, until_ms, until_ms) for uid in uids]
    room = Tombstone(ROOM, meeting.native_hash, meeting.created_ms, last_ms, until_ms)
    return [*sessions, *events, room]


def _row(tombstone: Tombstone) -> dict[str, Any]:
    return {
        "kind": tombstone.kind,
        "key_hash": tombstone.key_hash,
        "from_ms": tombstone.from_ms,
        "to_ms": tombstone.to_ms,
        "until_ms": tombstone.until_ms,
    }


async def _entry_ids(connection: AsyncConnection, meeting: Meeting, uids: list[str]) -> dict[str, tuple[str, ...]]:
    """By stream, the entries that the meeting's rows were stored from."""
    found: dict[str, set[Revision]] = defaultdict(set)
    for session in meeting.sessions.values():
        found[session.stream].add(Revision(session.start_rev_ms, session.start_rev_n))
        if session.end_rev_ms is not None:
            found[session.stream].add(Revision(session.end_rev_ms, session.end_rev_n or 0))
    segments = select(_S.stream, _T.rev_ms, _T.rev_n).join_from(SEGMENTS, SESSIONS, _T.session_id == _S.id)
    events = select(_E.stream, _E.rev_ms, _E.rev_n).where(_E.uid.in_(uids))
    for statement in (segments.where(_T.meeting_id == meeting.id), events):
        for stream, ms, n in await connection.execute(statement):
            found[stream].add(Revision(ms, n))
    return {stream: tuple(str(each) for each in sorted(ids)) for stream, ids in found.items()}


async def _forget_unused_events(connection: AsyncConnection, now_ms: int) -> None:
    """Remove speaker events of a day ago whose session never came."""
    owned = select(_S.id).where((_S.session_key == _E.uid) | (_S.session_uid == _E.uid)).exists()
    await connection.execute(delete(SPEAKER_EVENTS).where(_E.rev_ms < now_ms - _DAY_MS, ~owned))
