"""Give segments the names that speaker events tell. Events may come before, with and after their segments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.facts import NO_PLATFORM, NO_SESSION, Entry, SpeakerEvent
from app.collector.speakers import SpeakerTimeline
from app.collector.store.bulk import insert_rows, update_rows
from app.collector.store.merge import LABELED, VISIBLE, Segment, Session
from app.collector.store.remap import EVERYTHING, NOTHING, remap_from
from app.collector.store.state import Meeting, load_segments
from app.collector.store.tables import MEETINGS, SEGMENTS, SESSIONS, SPEAKER_EVENTS

_E, _S, _T = SPEAKER_EVENTS.c, SESSIONS.c, SEGMENTS.c


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A speaker event with where it came from."""

    uid: str
    platform: str | None
    event: SpeakerEvent
    stream: str
    rev_ms: int
    rev_n: int

    @property
    def identity(self) -> tuple[str, int, str, str]:
        """Equal for the same event that was sent again."""
        return self.uid, self.event.t_ms, self.event.kind, self.event.name


def events_of(entries: Iterable[Entry]) -> list[StoredEvent]:
    """The speaker events of entries."""
    return [
        StoredEvent(entry.session_key, entry.room.platform, fact, entry.stream, entry.revision.ms, entry.revision.n)
        for entry in entries
        for fact in entry.facts
        if isinstance(fact, SpeakerEvent) and entry.session_key != NO_SESSION
    ]


async def sessions_of(connection: AsyncConnection, uids: Iterable[str]) -> dict[int, set[str]]:
    """By meeting, the sessions that events of these uids may belong to."""
    names = sorted(uids)
    statement = select(_S.meeting_id, _S.session_key).join_from(SESSIONS, MEETINGS)
    statement = statement.where(
        or_(_S.session_key.in_(names), _S.session_uid.in_(names)), MEETINGS.c.deleted_ms.is_(None)
    )
    found: dict[int, set[str]] = defaultdict(set)
    for meeting_id, key in await connection.execute(statement):
        found[meeting_id].add(key)
    return found


async def label(
    connection: AsyncConnection, meetings: Iterable[Meeting], arrived: Sequence[StoredEvent], *, grace_ms: int
) -> None:
    """Store events that arrived, and name the speakers of segments that are new, changed or affected by them."""
    sessions = [(meeting, session) for meeting in meetings for session in meeting.sessions.values()]
    uids = {uid for _, session in sessions for uid in (session.key, session.uid) if uid and _needs_names(session)}
    known = await _load(connection, uids | {each.uid for each in arrived})
    new = await _store(connection, known, arrived)
    for meeting, session in sessions:
        own = [each for each in known.values() if _belongs(each, meeting, session)]
        in_time = [each for each in own if _in_time(each, session, grace_ms)]
        late_end = session.end_rev_ms is not None and session.change == VISIBLE and len(in_time) < len(own)
        first_ms = (
            EVERYTHING
            if late_end
            else remap_from(
                [each.event for each in in_time if each.identity not in new],
                [each.event for each in in_time if each.identity in new],
            )
        )
        if first_ms != NOTHING:
            await load_segments(
                connection, [session], _T.end_ms >= first_ms, _T.speaker_status.is_distinct_from(LABELED), ~_T.deleted
            )
        events = [each.event for each in in_time]
        at_ms = max((each.rev_ms for each in in_time if each.identity in new), default=0)
        name_speakers(session.segments.values(), events, from_ms=first_ms, at_ms=at_ms)


def name_speakers(rows: Iterable[Segment], events: Sequence[SpeakerEvent], *, from_ms: int, at_ms: int) -> None:
    """Map segments that changed, or that end at `from_ms` or later, to their speakers."""
    timeline = SpeakerTimeline(events)
    for row in rows:
        is_concerned = row.change == VISIBLE or row.end_ms >= from_ms
        if is_concerned and row.speaker_status != LABELED and not row.deleted:
            speaker, status = timeline.speaker(row.start_ms, row.end_ms)
            if (speaker, status) != (row.speaker, row.speaker_status):
                row.speaker, row.speaker_status = speaker, status
                row.changed(at_ms)


def _needs_names(session: Session) -> bool:
    return session.change == VISIBLE or any(
        row.change == VISIBLE and row.speaker_status != LABELED for row in session.segments.values()
    )


def _belongs(each: StoredEvent, meeting: Meeting, session: Session) -> bool:
    """A uid may be repeated elsewhere; events never cross platforms."""
    platforms = (None, NO_PLATFORM, meeting.platform)
    return each.uid in (session.key, session.uid) and (meeting.platform == NO_PLATFORM or each.platform in platforms)


def _in_time(each: StoredEvent, session: Session, grace_ms: int) -> bool:
    return session.end_rev_ms is None or each.rev_ms <= session.end_rev_ms + grace_ms


async def _load(connection: AsyncConnection, uids: set[str]) -> dict[tuple[str, int, str, str], StoredEvent]:
    if not uids:
        return {}
    statement = select(
        _E.uid, _E.platform, _E.t_ms, _E.kind, _E.name, _E.participant_id, _E.stream, _E.rev_ms, _E.rev_n
    ).where(_E.uid.in_(sorted(uids)))
    found = {}
    for row in await connection.execute(statement):
        event = SpeakerEvent(row.t_ms, row.kind, row.name, row.participant_id)
        stored = StoredEvent(row.uid, row.platform, event, row.stream, row.rev_ms, row.rev_n)
        found[stored.identity] = stored
    return found


async def _store(
    connection: AsyncConnection, known: dict[tuple[str, int, str, str], StoredEvent], arrived: Sequence[StoredEvent]
) -> set[tuple[str, int, str, str]]:
    """Add events to `known` and to the database; of an event that came twice the lowest revision counts."""
    new: dict[tuple[str, int, str, str], StoredEvent] = {}
    earlier: dict[tuple[str, int, str, str], StoredEvent] = {}
    for each in sorted(arrived, key=lambda event: (event.rev_ms, event.rev_n)):
        old = known.get(each.identity)
        if old is None:
            known[each.identity] = new[each.identity] = each
        elif (each.rev_ms, each.rev_n) < (old.rev_ms, old.rev_n):
            known[each.identity] = earlier[each.identity] = each
    await insert_rows(connection, SPEAKER_EVENTS, [_values(each) for each in new.values()])
    await update_rows(
        connection, SPEAKER_EVENTS, [_values(each) for each in earlier.values()], key=("uid", "t_ms", "kind", "name")
    )
    return set(new) | set(earlier)


def _values(each: StoredEvent) -> dict[str, Any]:
    return {
        "uid": each.uid,
        "platform": each.platform,
        "t_ms": each.event.t_ms,
        "kind": each.event.kind,
        "name": each.event.name,
        "participant_id": each.event.participant_id,
        "stream": each.stream,
        "rev_ms": each.rev_ms,
        "rev_n": each.rev_n,
    }
