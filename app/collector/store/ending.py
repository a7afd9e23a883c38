"""What time does to meetings: drafts become final, meetings end. Jobs of several collectors share the work.

Each function is one transaction over a bounded number of rows; the next call does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.rows import Applied
from app.collector.store.apply import Rules
from app.collector.store.merge import Segment, promote
from app.collector.store.repeats import hide_repeats
from app.collector.store.save import save
from app.collector.store.speakers import label
from app.collector.store.state import (
    NOT_COMPLETED,
    OVER,
    Meeting,
    load_drafts,
    load_sessions,
    lock_meetings,
)
from app.collector.store.tables import MEETINGS, SEGMENTS, SESSIONS

MEETINGS_AT_ONCE: Final = 50
_ROWS_AT_ONCE: Final = 1000
_FORGOTTEN_MS: Final = 3_600_000  # replaced drafts are kept until then for readers that ask what changed
_M, _S, _T = MEETINGS.c, SESSIONS.c, SEGMENTS.c


async def promote_drafts(connection: AsyncConnection, rules: Rules, *, now_ms: int, older_than_ms: int) -> Applied:
    """Make drafts final that got no news for so long, or whose session is over."""
    is_due = or_(_T.rev_ms <= now_ms - older_than_ms, _S.end_ms.is_not(None))
    due = select(_T.meeting_id).join_from(SEGMENTS, SESSIONS).where(NOT_COMPLETED, _T.deleted.is_(False), is_due)
    ids = (await connection.execute(due.distinct().order_by(_T.meeting_id).limit(MEETINGS_AT_ONCE))).scalars().all()
    await _forget_drafts(connection, now_ms)
    if not ids:
        return Applied()
    meetings = await _lock_free(connection, ids)
    await load_sessions(connection, meetings)
    sessions = [session for meeting in meetings.values() for session in meeting.sessions.values()]
    await load_drafts(connection, sessions)
    promoted = 0
    for session in sessions:
        is_over = session.end_ms is not None
        rows = [row for row in session.segments.values() if is_over or row.rev_ms <= now_ms - older_than_ms]
        promoted += _promote(rows, now_ms)
    return await _finish(connection, meetings, rules, promoted)


async def end_silent_meetings(connection: AsyncConnection, rules: Rules, *, now_ms: int, idle_ms: int) -> Applied:
    """Complete meetings of which nothing was heard for so long."""
    silent = select(_M.id).where(_M.status == "active", _M.last_rev_ms < now_ms - idle_ms, _M.deleted_ms.is_(None))
    ids = (await connection.execute(silent.order_by(_M.id).limit(MEETINGS_AT_ONCE))).scalars().all()
    meetings = await _lock_free(connection, ids) if ids else {}
    still = {
        each.id: each
        for each in meetings.values()
        if each.status not in OVER and each.last_rev_ms < now_ms - idle_ms and each.deleted_ms is None
    }
    return await _end(connection, still, rules, now_ms=now_ms, status="completed")


async def end_meeting(
    connection: AsyncConnection, rules: Rules, meeting_id: int, *, now_ms: int, status: str
) -> Applied:
    """Complete one meeting; an unknown one, or one that is over, changes nothing."""
    meetings = await lock_meetings(connection, [meeting_id])
    going_on = {each.id: each for each in meetings.values() if each.status not in OVER and each.deleted_ms is None}
    return await _end(connection, going_on, rules, now_ms=now_ms, status=status)


async def _end(
    connection: AsyncConnection, meetings: dict[int, Meeting], rules: Rules, *, now_ms: int, status: str
) -> Applied:
    if not meetings:
        return Applied()
    await load_sessions(connection, meetings)
    sessions = [session for meeting in meetings.values() for session in meeting.sessions.values()]
    await load_drafts(connection, sessions)
    promoted = sum(_promote(session.segments.values(), now_ms) for session in sessions)
    for meeting in meetings.values():
        meeting.status = status
        meeting.changed(now_ms)
        if meeting.end_ms is None:
            meeting.end_ms = max((each.end_ms for each in meeting.sessions.values() if each.end_ms), default=None)
    return await _finish(connection, meetings, rules, promoted)


async def _finish(connection: AsyncConnection, meetings: dict[int, Meeting], rules: Rules, promoted: int) -> Applied:
    await label(connection, meetings.values(), (), grace_ms=rules.grace_ms)
    await hide_repeats(connection, meetings.values())
    changes = await save(connection, meetings.values())
    return Applied(changes, {"promoted": promoted} if promoted else {})


async def _lock_free(connection: AsyncConnection, ids: Iterable[int]) -> dict[int, Meeting]:
    """Lock those meetings that nobody works on; the others get their turn at the next call."""
    free = select(_M.id).where(_M.id.in_(sorted(ids))).order_by(_M.id).with_for_update(skip_locked=True)
    return await lock_meetings(connection, (await connection.execute(free)).scalars().all())


def _promote(rows: Iterable[Segment], now_ms: int) -> int:
    drafts = [row for row in rows if not row.completed and not row.deleted]
    for row in drafts:
        promote(row, now_ms)
    return len(drafts)


async def _forget_drafts(connection: AsyncConnection, now_ms: int) -> None:
    """Remove the empty rows of drafts that were replaced long ago."""
    old = select(_T.id).where(NOT_COMPLETED, _T.deleted.is_(True), _T.updated_ms < now_ms - _FORGOTTEN_MS)
    ids = (await connection.execute(old.limit(_ROWS_AT_ONCE).with_for_update(skip_locked=True))).scalars().all()
    if ids:
        await connection.execute(delete(SEGMENTS).where(_T.id.in_(ids), NOT_COMPLETED))
