"""Find or create the meetings that entries belong to.

The caller holds the advisory locks of the rooms, so that two collectors never create the same meeting twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.facts import FIRST_OWN_MEETING_ID, NO_PLATFORM, NO_SESSION, Entry, Room
from app.collector.rows import Refused
from app.collector.store.bulk import insert_rows
from app.collector.store.keys import add_owner
from app.collector.store.places import RoomPlan, Span, by_hash
from app.collector.store.tables import API_TOKENS, MEETINGS, OWNERS, SESSIONS, TOMBSTONES
from app.collector.store.tombstones import Tombstone, room_hash, session_hash

DEFAULT_OWNER: Final = 1
_M, _S, _X = MEETINGS.c, SESSIONS.c, TOMBSTONES.c


@dataclass(frozen=True, slots=True)
class Located:
    """An entry, the owner of its meeting, and the room's hash (None: the meeting is named by number)."""

    entry: Entry
    owner_id: int
    native_hash: str | None


@dataclass(slots=True)
class Placed:
    """Entries by meeting, and those that have none."""

    entries: dict[int, list[Entry]] = field(default_factory=dict)
    tombstoned: list[Entry] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def put(self, meeting_id: int, entry: Entry) -> None:
        """Add an entry to a meeting."""
        self.entries.setdefault(meeting_id, []).append(entry)

    def refuse(self, entry: Entry, reason: str, *, may_change: bool = False) -> None:
        """Keep an entry out."""
        self.refused.append(Refused(str(entry.revision), entry.stream, reason, may_change))


async def locate(connection: AsyncConnection, entries: Sequence[Entry]) -> list[Located]:
    """The owner and the room of each entry; what a token belongs to is known by its hash."""
    hashes = {entry.room.token_sha256 for entry in entries if entry.room.owner_id is None} - {None}
    owners: dict[str | None, int] = {}
    if hashes:
        tokens = select(API_TOKENS.c.hash, API_TOKENS.c.owner_id).where(API_TOKENS.c.hash.in_(sorted(map(str, hashes))))
        owners = {row[0]: row[1] for row in await connection.execute(tokens)}
    located = []
    for entry in entries:
        room = entry.room
        owner_id = room.owner_id or owners.get(room.token_sha256) or DEFAULT_OWNER
        located.append(Located(entry, owner_id, None if room.meeting_id is not None else _room_hash(owner_id, entry)))
    return located


async def place(connection: AsyncConnection, located: Sequence[Located], *, idle_ms: int) -> Placed:
    """The meeting of each entry, created where there is none. Entries come in the order of their revisions."""
    placed = Placed()
    await _add_owners(connection, {each.owner_id for each in located})
    await _place_numbered(connection, [each for each in located if each.native_hash is None], placed)
    await _place_named(connection, [each for each in located if each.native_hash is not None], placed, idle_ms)
    return placed


async def _add_owners(connection: AsyncConnection, owner_ids: set[int]) -> None:
    ids = sorted(owner_ids - {DEFAULT_OWNER})
    if ids:
        known = set((await connection.execute(select(OWNERS.c.id).where(OWNERS.c.id.in_(ids)))).scalars())
        for owner_id in ids:
            if owner_id not in known:
                await add_owner(connection, owner_id, name=str(owner_id), now_ms=0)


async def _place_numbered(connection: AsyncConnection, located: Sequence[Located], placed: Placed) -> None:
    ids = sorted({_number(each.entry.room) for each in located})
    if not ids:
        return
    statement = select(_M.id, _M.owner_id, _M.deleted_ms).where(_M.id.in_(ids))
    known = {row.id: (row.owner_id, row.deleted_ms is not None) for row in await connection.execute(statement)}
    new: dict[int, dict[str, Any]] = {}
    for each in located:
        meeting_id, room = _number(each.entry.room), each.entry.room
        owner_id, is_deleted = known.setdefault(meeting_id, (each.owner_id, False))
        if is_deleted:
            placed.tombstoned.append(each.entry)
        elif room.owner_id is not None and owner_id not in (room.owner_id, DEFAULT_OWNER):
            placed.refuse(each.entry, f"meeting {meeting_id} belongs to another owner than the token's")
        else:
            placed.put(meeting_id, each.entry)
    found = set((await connection.execute(select(_M.id).where(_M.id.in_(ids)))).scalars())
    for meeting_id in sorted(placed.entries.keys() - found):
        first = placed.entries[meeting_id][0]
        new[meeting_id] = _new_meeting(meeting_id, known[meeting_id][0], first)
    await insert_rows(connection, MEETINGS, list(new.values()))


async def _place_named(connection: AsyncConnection, located: Sequence[Located], placed: Placed, idle_ms: int) -> None:
    if not located:
        return
    plans = await _plans(connection, located, idle_ms)
    spans: list[tuple[Located, Span]] = []
    for each in located:
        plan = plans[str(each.native_hash)]
        key = each.entry.session_key
        span = plan.place(key, each.entry.revision.ms, may_know=key != NO_SESSION)
        if span is None:
            placed.tombstoned.append(each.entry)
        else:
            spans.append((each, span))
    new: list[dict[str, Any]] = []
    for each, span in spans:
        if span.meeting_id is None:
            span.meeting_id = await _next_id(connection, taken=len(new))
            new.append(_new_meeting(span.meeting_id, each.owner_id, each.entry))
        placed.put(span.meeting_id, each.entry)
    await insert_rows(connection, MEETINGS, new)


async def _plans(connection: AsyncConnection, located: Sequence[Located], idle_ms: int) -> dict[str, RoomPlan]:
    """What is known of the rooms, by hash."""
    hashes = sorted({str(each.native_hash) for each in located})
    keys = sorted({each.entry.session_key for each in located})
    plans = {each: RoomPlan(each, idle_ms) for each in hashes}
    spans: dict[int, Span] = {}
    meetings: Select[Any] = select(_M.id, _M.native_hash, _M.created_ms, _M.last_rev_ms, _M.deleted_ms).order_by(_M.id)
    for row in await connection.execute(meetings.where(_M.native_hash.in_(hashes))):
        spans[row.id] = span = Span(row.id, row.created_ms, row.last_rev_ms, row.deleted_ms is not None)
        plans[row.native_hash].spans.append(span)
    if spans:
        sessions: Select[Any] = (
            select(_S.meeting_id, _S.session_key, _M.native_hash).join_from(SESSIONS, MEETINGS).order_by(_S.id)
        )
        sessions = sessions.where(_M.native_hash.in_(hashes), _S.session_key.in_(keys), _M.deleted_ms.is_(None))
        for known in await connection.execute(sessions):
            plans[known.native_hash].sessions[known.session_key] = spans[known.meeting_id]
    for plan in plans.values():
        own = {session_hash(plan.native_hash, key) for key in keys} | {plan.native_hash}
        plan.tombstones = by_hash(await tombstones(connection, own)) if any(s.is_deleted for s in plan.spans) else {}
    return plans


async def tombstones(connection: AsyncConnection, hashes: Iterable[str]) -> list[Tombstone]:
    """The tombstones with these hashes."""
    statement = select(_X.kind, _X.key_hash, _X.from_ms, _X.to_ms, _X.until_ms).where(_X.key_hash.in_(sorted(hashes)))
    return [Tombstone(*row) for row in await connection.execute(statement)]


async def _next_id(connection: AsyncConnection, *, taken: int) -> int:
    """The next number of our own meetings."""
    if connection.dialect.name == "sqlite":
        highest = (await connection.execute(select(func.max(_M.id)))).scalar()
        return max(highest or 0, FIRST_OWN_MEETING_ID - 1) + 1 + taken
    return int((await connection.execute(text("SELECT nextval('own_meeting_ids')"))).scalar_one())


def _number(room: Room) -> int:
    return room.meeting_id or 0


def names(entry: Entry) -> tuple[str, str]:
    """Platform and native id of an entry's meeting. What has no native id is found by its number, or its session."""
    room = entry.room
    unnamed = room.meeting_id if room.meeting_id is not None else entry.session_uid or entry.session_key
    return room.platform or NO_PLATFORM, room.native_id or str(unnamed)


def _room_hash(owner_id: int, entry: Entry) -> str:
    return room_hash(owner_id, *names(entry))


def _new_meeting(meeting_id: int, owner_id: int, entry: Entry) -> dict[str, Any]:
    platform, native_id = names(entry)
    return {
        "id": meeting_id,
        "owner_id": owner_id,
        "platform": platform,
        "native_meeting_id": native_id,
        "native_hash": room_hash(owner_id, platform, native_id),
        "status": "active",
        "data": {},
        "seq": 0,
        "created_ms": entry.revision.ms,
        "last_rev_ms": entry.revision.ms,
        "updated_ms": entry.revision.ms,
    }
