"""Store entries: one batch is one transaction.

Lock rooms and sessions by name, find the meetings, lock them by ascending id, read the rows that the entries touch,
merge in memory (merge.py), name speakers, hide repeats, and write what changed. The number of statements does not
depend on the number of entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.facts import NO_PLATFORM, Entry, Retract, Segments, SessionEnd, SessionStart, SpeakerEvent
from app.collector.rows import Applied
from app.collector.store.locks import lock_names, room_lock, session_locks
from app.collector.store.merge import (
    ARRIVAL,
    EVENT,
    SEGMENTS,
    SILENT,
    VISIBLE,
    Session,
    Tally,
    end_session,
    estimated_start,
    merge_segments,
    offer_start,
    retract,
    set_times,
)
from app.collector.store.places import by_hash
from app.collector.store.repeats import hide_repeats
from app.collector.store.rooms import DEFAULT_OWNER, Placed, locate, names, place, tombstones
from app.collector.store.save import save
from app.collector.store.speakers import StoredEvent, events_of, label, sessions_of
from app.collector.store.state import (
    OVER,
    Meeting,
    load_drafts,
    load_segments,
    load_segments_by_key,
    load_sessions,
    lock_meetings,
)
from app.collector.store.tables import SESSIONS
from app.collector.store.tombstones import is_refused, room_hash, uid_hash

_S: Final = SESSIONS.c


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator set.

    Attributes:
        idle_ms: entries of a room that lie further apart belong to two meetings.
        grace_ms: speaker events count until then after the end of their session.
    """

    idle_ms: int = 900_000
    grace_ms: int = 300_000


async def apply_entries(connection: AsyncConnection, entries: Sequence[Entry], rules: Rules) -> Applied:
    """Store entries; those that were stored before change nothing. The caller commits."""
    ordered = sorted(entries, key=lambda entry: (entry.revision, entry.stream))
    speech = [entry for entry in ordered if not _tells_speakers(entry)]
    events = events_of(entry for entry in ordered if _tells_speakers(entry))
    located = await locate(connection, speech)
    await lock_names(
        connection,
        [
            *(room_lock(each.native_hash or each.entry.room.meeting_id) for each in located),
            *session_locks(uid for entry in ordered for uid in (entry.session_key, entry.session_uid)),
        ],
    )
    tally = Tally()
    events = await _without_deleted(connection, events, tally)
    expired = await _expired(connection, speech)
    placed = await place(connection, [each for each in located if each.entry not in expired], idle_ms=rules.idle_ms)
    for entry in expired:
        placed.refuse(entry, "the token expired before the session's first entry", may_change=True)
    tally.counts["tombstoned"] += sum(_segments_in(entry) for entry in placed.tombstoned)
    listening = await sessions_of(connection, {each.uid for each in events}) if events else {}
    meetings = await lock_meetings(connection, {*placed.entries, *listening})
    await _load(connection, meetings, placed, listening)
    _merge(meetings, placed, tally)
    await _set_times(connection, meetings)
    await label(connection, meetings.values(), events, grace_ms=rules.grace_ms)
    await hide_repeats(connection, meetings.values())
    changes = await save(connection, meetings.values())
    return Applied(changes, +tally.counts, tally.conflicts, tuple(placed.refused))


def _tells_speakers(entry: Entry) -> bool:
    return bool(entry.facts) and all(isinstance(fact, SpeakerEvent) for fact in entry.facts)


async def _without_deleted(connection: AsyncConnection, events: list[StoredEvent], tally: Tally) -> list[StoredEvent]:
    """Events whose session was not deleted."""
    hashes = {uid: uid_hash(uid) for uid in {each.uid for each in events}}
    if not hashes:
        return []
    stones = by_hash(await tombstones(connection, hashes.values()))
    kept = [each for each in events if not is_refused(stones, hashes[each.uid], each.rev_ms)]
    tally.counts["tombstoned"] += len(events) - len(kept)
    return kept


async def _expired(connection: AsyncConnection, entries: Sequence[Entry]) -> list[Entry]:
    """Entries whose token had expired before their session began; a long session outlives its token."""
    late = [each for each in entries if each.room.expires_ms is not None and each.room.expires_ms <= each.revision.ms]
    if not late:
        return []
    first_ms: dict[tuple[int | None, str], int] = {}
    statement = select(_S.meeting_id, _S.session_key, _S.first_rev_ms)
    keys = sorted({entry.session_key for entry in late})
    for row in await connection.execute(statement.where(_S.session_key.in_(keys))):
        first_ms[row.meeting_id, row.session_key] = row.first_rev_ms
    for entry in entries:
        key = entry.room.meeting_id, entry.session_key
        first_ms[key] = min(first_ms.get(key, entry.revision.ms), entry.revision.ms)
    return [each for each in late if (each.room.expires_ms or 0) <= first_ms[each.room.meeting_id, each.session_key]]


async def _load(
    connection: AsyncConnection, meetings: dict[int, Meeting], placed: Placed, listening: dict[int, set[str]]
) -> None:
    """Read the sessions and segments that the entries name, and the drafts that they replace."""
    if not meetings:
        return
    keys = {entry.session_key for entries in placed.entries.values() for entry in entries}
    keys.update(*listening.values())
    await load_sessions(connection, meetings, _S.session_key.in_(sorted(keys)))
    wanted: dict[tuple[int, str], tuple[Session, str]] = {}
    replacing: dict[int, Session] = {}
    for meeting_id, entries in placed.entries.items():
        sessions = meetings[meeting_id].sessions
        for entry in entries:
            session = sessions.get(entry.session_key)
            if session is None:
                rev = entry.revision.ms, entry.revision.n
                session = Session.new(meeting_id, entry.session_key, entry.session_uid, entry.stream, rev)
                sessions[entry.session_key] = session
            for fact in entry.facts if session.id is not None else ():
                for key in _keys(fact):
                    wanted[session.id or 0, key] = session, key
                if isinstance(fact, Segments) and fact.replaces_drafts:
                    replacing[session.id or 0] = session
    await load_segments_by_key(connection, list(wanted.values()))
    await load_drafts(connection, replacing.values())


def _merge(meetings: dict[int, Meeting], placed: Placed, tally: Tally) -> None:
    for meeting_id, entries in placed.entries.items():
        meeting = meetings[meeting_id]
        for entry in entries:
            _merge_entry(meeting, entry, tally)
        speaks = any(row.change == VISIBLE for each in meeting.sessions.values() for row in each.segments.values())
        if speaks and meeting.status in OVER:
            meeting.status = "active"


def _merge_entry(meeting: Meeting, entry: Entry, tally: Tally) -> None:
    _hear(meeting, entry)
    session = meeting.sessions[entry.session_key]
    rev = entry.revision.ms, entry.revision.n
    session.heard(entry.session_uid, rev[0])
    news = [fact for fact in entry.facts if isinstance(fact, Segments)]
    start_ms = estimated_start((each for fact in news for each in fact.segments), rev[0])
    offer_start(session, rev[0] if start_ms is None else start_ms, ARRIVAL if start_ms is None else SEGMENTS, rev)
    for fact in entry.facts:
        if isinstance(fact, SessionStart):
            offer_start(session, fact.start_ms, EVENT, rev)
        elif isinstance(fact, SessionEnd):
            end_session(session, fact, rev)
        elif isinstance(fact, Retract):
            retract(session, fact, rev)
        elif isinstance(fact, Segments):
            merge_segments(session, fact, rev, tally, immutable=entry.connection_id is not None)


def _hear(meeting: Meeting, entry: Entry) -> None:
    """Note when a meeting was heard of, and what an entry knows better about its owner and name."""
    rev_ms = entry.revision.ms
    first_ms, last_ms = min(meeting.created_ms, rev_ms), max(meeting.last_rev_ms, rev_ms)
    if (first_ms, last_ms) != (meeting.created_ms, meeting.last_rev_ms):
        meeting.created_ms, meeting.last_rev_ms = first_ms, last_ms
        meeting.change = max(meeting.change, SILENT)
    if entry.room.meeting_id is None:
        return
    before = meeting.owner_id, meeting.platform, meeting.native_id
    platform, native_id = names(entry)
    if meeting.owner_id == DEFAULT_OWNER and entry.room.owner_id is not None:
        meeting.owner_id = entry.room.owner_id
        meeting.has_new_owner = True
    if meeting.platform == NO_PLATFORM:
        meeting.platform = platform
    if meeting.native_id == str(meeting.id):
        meeting.native_id = native_id
    if before != (meeting.owner_id, meeting.platform, meeting.native_id):
        meeting.native_hash = room_hash(meeting.owner_id, meeting.platform, meeting.native_id or "")
        meeting.changed(rev_ms)


async def _set_times(connection: AsyncConnection, meetings: dict[int, Meeting]) -> None:
    """Compute the times that follow from a session's start; if that moved, for all its segments."""
    sessions = [session for meeting in meetings.values() for session in meeting.sessions.values()]
    await load_segments(connection, [each for each in sessions if each.start_moved])
    for session in sessions:
        for row in session.segments.values():
            if session.start_moved or row.change == VISIBLE:
                set_times(session, row)


def _keys(fact: object) -> Iterable[str]:
    if isinstance(fact, Segments):
        return [segment.key for segment in fact.segments]
    return fact.segment_ids if isinstance(fact, Retract) else ()


def _segments_in(entry: Entry) -> int:
    return max(sum(len(list(_keys(fact))) for fact in entry.facts), 1)
