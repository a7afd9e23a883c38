"""Rows of a transaction as objects that change: read and locked here, written back by save.py.

Whoever changes a meeting, its sessions or segments holds the lock on its row; locks are taken by ascending id, so
that transactions wait for each other but never in a circle. On SQLite there is one writer at a time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Text, bindparam, column, func, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.rows import MeetingRow
from app.collector.store.merge import SAME, VISIBLE, Segment, Session
from app.collector.store.tables import MEETINGS, SEGMENTS, SESSIONS

OVER: Final = ("completed", "failed")  # statuses of a meeting that has ended
_M, _S, _T = MEETINGS.c, SESSIONS.c, SEGMENTS.c
MEETING_COLUMNS: Final[tuple[Any, ...]] = (
    _M.id, _M.owner_id, _M.platform, _M.native_meeting_id, _M.native_hash, _M.status, _M.start_ms, _M.end_ms, _M.data,
    _M.seq, _M.complete, _M.deleted_ms, _M.created_ms, _M.last_rev_ms, _M.updated_ms,
)  # fmt: skip
SESSION_COLUMNS: Final[tuple[Any, ...]] = (
    _S.id, _S.meeting_id, _S.session_key, _S.session_uid, _S.stream, _S.start_ms, _S.start_source, _S.start_rev_ms,
    _S.start_rev_n, _S.draft_rev_ms, _S.draft_rev_n, _S.end_ms, _S.end_rev_ms, _S.end_rev_n, _S.expected_segments,
    _S.missing, _S.missing_reported, _S.first_rev_ms, _S.last_rev_ms,
)  # fmt: skip
SEGMENT_COLUMNS: Final[tuple[Any, ...]] = (
    _T.id, _T.session_id, _T.segment_key, _T.has_id, _T.ordinal, _T.timing, _T.start_ms, _T.end_ms, _T.abs_start_ms,
    _T.abs_end_ms, _T.text, _T.language, _T.speaker, _T.speaker_key, _T.speaker_status, _T.source, _T.completed,
    _T.promoted, _T.deleted, _T.hidden_by, _T.words, _T.rev_ms, _T.rev_n, _T.seq, _T.created_ms, _T.updated_ms,
)  # fmt: skip
# The words of the partial index: SQLite compares texts to find out whether it may use the index.
NOT_COMPLETED: Final = text("NOT completed")


@dataclass(slots=True)
class Meeting:
    """A row of `meetings`, fields in the order of MEETING_COLUMNS, and the sessions that this transaction needs."""

    id: int
    owner_id: int
    platform: str
    native_id: str | None
    native_hash: str
    status: str
    start_ms: int | None
    end_ms: int | None
    data: dict[str, Any]
    seq: int
    complete: bool | None
    deleted_ms: int | None
    created_ms: int
    last_rev_ms: int
    updated_ms: int
    change: int = SAME
    has_new_owner: bool = False
    sessions: dict[str, Session] = field(default_factory=dict)

    def changed(self, at_ms: int) -> None:
        """Note a change that readers see."""
        self.change = VISIBLE
        self.updated_ms = max(self.updated_ms, at_ms)

    def row(self) -> MeetingRow:
        """The meeting as readers see it."""
        return MeetingRow(
            self.id, self.owner_id, self.platform, self.native_id, self.status, self.start_ms, self.end_ms,
            self.data, self.seq, self.complete, self.created_ms, self.updated_ms,
        )  # fmt: skip


async def lock_meetings(connection: AsyncConnection, ids: Iterable[int]) -> dict[int, Meeting]:
    """Read meetings and keep everyone else from changing them until the transaction ends."""
    statement = select(*MEETING_COLUMNS).where(_M.id.in_(sorted(ids))).order_by(_M.id).with_for_update()
    return {row[0]: Meeting(*row) for row in await connection.execute(statement)}


async def load_sessions(connection: AsyncConnection, meetings: dict[int, Meeting], *where: ColumnElement[bool]) -> None:
    """Read sessions of locked meetings; those in memory already stay as they are."""
    statement = select(*SESSION_COLUMNS).where(_S.meeting_id.in_(sorted(meetings)), *where).order_by(_S.id)
    for row in await connection.execute(statement):
        meetings[row.meeting_id].sessions.setdefault(row.session_key, Session(*row))


async def load_segments(connection: AsyncConnection, sessions: Iterable[Session], *where: Any) -> None:
    """Read segments of sessions; those in memory already stay as they are."""
    by_id = {session.id: session for session in sessions if session.id is not None}
    if by_id:
        statement = select(*SEGMENT_COLUMNS).where(_T.session_id.in_(sorted(by_id)), *where)
        _take(by_id, await connection.execute(statement))


async def load_drafts(connection: AsyncConnection, sessions: Iterable[Session]) -> None:
    """Read the drafts of sessions."""
    await load_segments(connection, sessions, NOT_COMPLETED, _T.deleted.is_(False))


async def load_segments_by_key(connection: AsyncConnection, wanted: Collection[tuple[Session, str]]) -> None:
    """Read the segments with these keys."""
    by_id = {session.id: session for session, _ in wanted if session.id is not None}
    pairs = [(session.id, key) for session, key in wanted if session.id is not None]
    if pairs and connection.dialect.name == "sqlite":
        _take(by_id, await connection.execute(_BY_KEY_SQLITE, {"pairs": json.dumps(pairs)}))
    elif pairs:
        ids, keys = [each[0] for each in pairs], [each[1] for each in pairs]
        _take(by_id, await connection.execute(_BY_KEY_POSTGRES, {"ids": ids, "keys": keys}))


def _take(sessions: dict[int, Session], found: Iterable[Any]) -> None:
    for row in found:
        segments = sessions[row[1]].segments
        if row[2] not in segments:
            segments[row[2]] = segment = Segment(*row)
            segment.was_shown = segment.is_shown
            if segment.completed and not segment.deleted:
                segment.was_final_until_ms = segment.abs_end_ms


# One text for every number of pairs, so that SQLAlchemy compiles it once.
_PAIRS: Final = func.json_each(bindparam("pairs", type_=Text)).table_valued(column("value", Text), name="pairs")
_BY_KEY_SQLITE: Final = select(*SEGMENT_COLUMNS).join_from(
    _PAIRS,
    SEGMENTS,
    (_T.session_id == func.json_extract(_PAIRS.c.value, "$[0]"))
    & (_T.segment_key == func.json_extract(_PAIRS.c.value, "$[1]")),
)
_ARRAYS: Final = (
    func.unnest(bindparam("ids", type_=ARRAY(BigInteger)), bindparam("keys", type_=ARRAY(Text)))
    .table_valued(column("session_id", BigInteger), column("segment_key", Text), name="pairs")
    .render_derived()
)
# OFFSET makes PostgreSQL look each pair up in the index; it would read the whole table while that is small.
_ONE: Final = (
    select(*SEGMENT_COLUMNS)
    .where(_T.session_id == _ARRAYS.c.session_id, _T.segment_key == _ARRAYS.c.segment_key)
    .offset(0)
    .lateral("one")
)
_BY_KEY_POSTGRES: Final = select(_ONE).select_from(_ARRAYS.join(_ONE, true()))
