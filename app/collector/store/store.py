"""The store: each method is one transaction on SQLite or PostgreSQL.

Every method raises DatabaseAway if the database does not answer; it may be called again then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.errors import DatabaseAway
from app.collector.facts import Entry
from app.collector.rows import ApiKey, Applied, Deletion, Hit, MeetingRow, Page, SegmentRow, SessionRow
from app.collector.store import delete, ending, keys, read
from app.collector.store.apply import Rules, apply_entries
from app.collector.store.complete import report_missing
from app.collector.store.database import Database
from app.collector.store.migrate import Mode
from app.collector.store.migrate import migrate as migrate_database
from app.collector.store.rooms import DEFAULT_OWNER
from app.collector.store.save import save
from app.collector.store.search import search
from app.collector.store.state import lock_meetings


class Store:
    """Meetings, their segments, and the keys of their readers."""

    def __init__(self, database: Database, rules: Rules) -> None:
        self._database = database
        self._rules = rules
        self._noting: asyncio.Future[None] = asyncio.Future()  # the last use of a key being written down
        self._noting.set_result(None)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        migrate: Mode = "auto",
        default_owner_name: str = "default",
        meeting_idle_s: float = 900.0,
        speaker_grace_s: float = 300.0,
    ) -> Self:
        """Connect, bring the tables up to date, and make sure that owner 1 exists.

        Args:
            url: `sqlite:///path` or `postgresql://user:password@host/database`.
            migrate: auto: upgrade the tables; check: refuse older ones; off: do not look.
            default_owner_name: of owner 1, to whom entries without a known token belong.
            meeting_idle_s: entries of a room that lie further apart belong to two meetings.
            speaker_grace_s: speaker events count until then after the end of their session.

        Raises:
            StartupError: the address cannot be used, or the database is newer than this program.
        """
        await asyncio.to_thread(migrate_database, url, migrate)
        database = Database(url)
        await database.write(
            lambda connection: keys.add_owner(connection, DEFAULT_OWNER, name=default_owner_name, now_ms=0)
        )
        return cls(database, Rules(idle_ms=_ms(meeting_idle_s), grace_ms=_ms(speaker_grace_s)))

    async def close(self) -> None:
        """Close all connections."""
        self._noting.cancel()
        await asyncio.gather(self._noting, return_exceptions=True)
        await self._database.close()

    async def ping(self) -> None:
        """Ask the database for a sign of life."""
        async with self._database.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def checkpoint(self) -> None:
        """Empty SQLite's log, which may hold deleted text; PostgreSQL recycles its own."""
        await self._database.checkpoint()

    # Writing. `now_ms` is stream time: the time up to which the streams were read.

    async def apply(self, entries: Sequence[Entry]) -> Applied:
        """Store entries; entries that were stored before change nothing, and their order does not matter."""
        return await self._database.write(lambda connection: apply_entries(connection, entries, self._rules))

    async def promote_drafts(self, *, now_ms: int, older_than_s: float) -> Applied:
        """Make drafts final that got no news for so long, or whose session is over; counts `promoted`."""
        return await self._database.write(
            lambda connection: ending.promote_drafts(
                connection, self._rules, now_ms=now_ms, older_than_ms=_ms(older_than_s)
            )
        )

    async def end_meetings(self, *, now_ms: int, idle_s: float) -> Applied:
        """Complete meetings that have been silent for so long, up to 50 at a time."""
        return await self._database.write(
            lambda connection: ending.end_silent_meetings(connection, self._rules, now_ms=now_ms, idle_ms=_ms(idle_s))
        )

    async def end_meeting(self, meeting_id: int, *, now_ms: int, status: str = "completed") -> Applied:
        """Complete one meeting; an unknown one changes nothing."""
        return await self._database.write(
            lambda connection: ending.end_meeting(connection, self._rules, meeting_id, now_ms=now_ms, status=status)
        )

    async def recheck_complete(self, *, now_ms: int) -> int:
        """Return how many counted finals are missing that no earlier call returned."""
        return await self._database.write(lambda connection: report_missing(connection, now_ms=now_ms))

    async def patch_meeting(self, meeting_id: int, data: Mapping[str, Any], *, now_ms: int) -> MeetingRow:
        """Set what people add to a meeting: name, participants, languages, notes.

        Raises:
            LookupError: there is no such meeting.
        """
        return await self._database.write(lambda connection: _patch(connection, meeting_id, data, now_ms))

    async def delete_meeting(
        self, owner_id: int, platform: str, native_id: str, *, meeting_id: int | None, now_ms: int
    ) -> Deletion | None:
        """Delete a meeting's texts; None if there is no such meeting; without entries if it was deleted before.

        Raises:
            NotOver: it is still active.
        """
        return await self._database.write(
            lambda connection: delete.delete_meeting(
                connection, owner_id, platform, native_id, meeting_id=meeting_id, now_ms=now_ms
            )
        )

    async def delete_meeting_by_id(self, owner_id: int, meeting_id: int, *, now_ms: int) -> Deletion | None:
        """The same for the meeting with this number.

        Raises:
            NotOver: it is still active.
        """
        return await self._database.write(
            lambda connection: delete.delete_meeting_by_id(connection, owner_id, meeting_id, now_ms=now_ms)
        )

    async def expire(self, *, now_ms: int, retention_days: int, limit: int) -> tuple[Deletion, ...]:
        """Delete up to `limit` meetings that ended so long ago (0: none), and tombstones that have expired."""
        return await self._database.write(
            lambda connection: delete.expire(connection, now_ms=now_ms, retention_days=retention_days, limit=limit)
        )

    async def create_key(
        self,
        owner_id: int,
        sha256: str,
        *,
        prefix: str,
        name: str,
        scopes: frozenset[str],
        expires_ms: int | None,
        now_ms: int,
    ) -> None:
        """Add a key of the read API, and its owner if there is none."""
        await self._database.write(
            lambda connection: keys.create_key(
                connection, owner_id, sha256, prefix=prefix, name=name, scopes=scopes, expires_ms=expires_ms,
                now_ms=now_ms,
            )
        )  # fmt: skip

    # Reading.
    async def key(self, sha256: str, *, now_ms: int) -> ApiKey | None:
        """The key with this hash, unless it has expired."""
        async with self._database.read() as connection:
            found = await keys.find_key(connection, sha256, now_ms=now_ms)
        if found is None:
            return None
        api_key, is_stale = found
        if is_stale and self._noting.done():
            self._noting = asyncio.create_task(self._note_use(sha256, now_ms))
        return api_key

    async def has_keys(self, *, now_ms: int) -> bool:
        """Is there a key that has not expired?"""
        async with self._database.read() as connection:
            return await keys.has_keys(connection, now_ms=now_ms)

    async def _note_use(self, sha256: str, now_ms: int) -> None:
        """Beside the request: a database that takes no writes now must not refuse readers."""
        with contextlib.suppress(DatabaseAway):
            await self._database.write(lambda connection: keys.note_use(connection, sha256, now_ms=now_ms))

    async def meeting(
        self, owner_id: int, platform: str, native_id: str, *, meeting_id: int | None = None
    ) -> MeetingRow | None:
        """The newest meeting of a room that was not deleted."""
        async with self._database.read() as connection:
            return await read.newest_meeting(connection, owner_id, platform, native_id, meeting_id=meeting_id)

    async def meeting_by_id(self, owner_id: int, meeting_id: int) -> MeetingRow | None:
        """One meeting of an owner, unless it was deleted."""
        async with self._database.read() as connection:
            return await read.meeting_by_id(connection, owner_id, meeting_id)

    async def meetings(
        self, owner_id: int, *, status: str | None, platform: str | None, limit: int, offset: int, cursor: str | None
    ) -> Page[MeetingRow]:
        """An owner's meetings, newest first.

        Raises:
            BadCursor: the cursor is not one of ours.
        """
        async with self._database.read() as connection:
            return await read.list_meetings(
                connection, owner_id, status=status, platform=platform, limit=limit, offset=offset, cursor=cursor
            )

    async def segments(
        self,
        meeting_id: int,
        *,
        limit: int | None,
        cursor: str | None = None,
        since_seq: int | None = None,
        drafts: bool = True,
        hidden: bool = False,
    ) -> Page[SegmentRow]:
        """A meeting's segments in reading order.

        Args:
            meeting_id: its owner was checked before.
            limit: how many; None: all.
            cursor: of the page before.
            since_seq: only what changed after it; what readers must remove comes with `deleted` set.
            drafts: also segments that may still change.
            hidden: also segments that repeat others.

        Raises:
            BadCursor: the cursor is not one of ours.
        """
        async with self._database.read() as connection:
            return await read.list_segments(
                connection, meeting_id, limit=limit, cursor=cursor, since_seq=since_seq, drafts=drafts, hidden=hidden
            )

    async def sessions(self, meeting_id: int) -> tuple[SessionRow, ...]:
        """A meeting's sessions by their start."""
        async with self._database.read() as connection:
            return await read.list_sessions(connection, meeting_id)

    async def seqs(self, meeting_ids: Collection[int]) -> dict[int, int]:
        """The `seq` of each of these meetings; unknown and deleted ones are left out."""
        async with self._database.read() as connection:
            return await read.seqs(connection, meeting_ids)

    async def search(
        self,
        owner_id: int,
        query: str,
        *,
        platform: str | None,
        from_ms: int | None,
        to_ms: int | None,
        speaker: str | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Hit]:
        """Finals of an owner with all words of a query, those stored last first. Times are Unix ms.

        Raises:
            BadCursor: the cursor is not one of ours.
        """
        async with self._database.read() as connection:
            return await search(
                connection, owner_id, query, platform=platform, from_ms=from_ms, to_ms=to_ms, speaker=speaker,
                limit=limit, cursor=cursor,
            )  # fmt: skip


async def _patch(connection: AsyncConnection, meeting_id: int, data: Mapping[str, Any], now_ms: int) -> MeetingRow:
    meeting = (await lock_meetings(connection, [meeting_id])).get(meeting_id)
    if meeting is None or meeting.deleted_ms is not None:
        raise LookupError(f"there is no meeting {meeting_id}")
    if any(meeting.data.get(name) != value for name, value in data.items()):
        meeting.data = {**meeting.data, **data}
        meeting.changed(now_ms)
        await save(connection, [meeting])
    return meeting.row()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
