"""Whether every final that a session's producer counted is here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.store.bulk import update_rows
from app.collector.store.merge import VISIBLE, Session
from app.collector.store.state import Meeting
from app.collector.store.tables import SEGMENTS, SESSIONS

_SETTLE_MS: Final = 2_000  # another collector may still hold finals that came before the session's end
_S, _T = SESSIONS.c, SEGMENTS.c


async def count_missing(connection: AsyncConnection, meetings: Iterable[Meeting]) -> None:
    """Count again in the sessions that changed, and say of their meetings whether they are complete."""
    sessions = {
        session.id: (meeting, session)
        for meeting in meetings
        for session in meeting.sessions.values()
        if session.id is not None and session.expected is not None and _may_have_changed(session)
    }
    if not sessions:
        return
    found = dict.fromkeys(sessions, 0)
    for session_id, count in await connection.execute(_present(sessions)):
        found[session_id] = count
    changed = []
    for session_id, (_, session) in sessions.items():
        missing = max((session.expected or 0) - found[session_id], 0)
        if missing != session.missing:
            session.missing = missing
            changed.append({"id": session_id, "missing": missing})
    if changed:
        await update_rows(connection, SESSIONS, changed)
        await _set_complete(connection, {meeting.id: meeting for meeting, _ in sessions.values()})


def _may_have_changed(session: Session) -> bool:
    return session.change == VISIBLE or any(
        row.change == VISIBLE and row.ordinal is not None for row in session.segments.values()
    )


def _present(session_ids: Iterable[int | None]) -> Any:
    """How many of the counted finals each session has."""
    return (
        select(_S.id, func.count(_T.ordinal.distinct()))
        .join_from(SESSIONS, SEGMENTS, _T.session_id == _S.id)
        .where(_S.id.in_(sorted(each for each in session_ids if each is not None)))
        .where(_T.completed.is_(True), _T.promoted.is_(False), _T.ordinal < _S.expected_segments)
        .group_by(_S.id)
    )


async def _set_complete(connection: AsyncConnection, meetings: dict[int, Meeting]) -> None:
    statement = select(_S.meeting_id, func.max(_S.missing)).where(
        _S.meeting_id.in_(sorted(meetings)), _S.missing.is_not(None)
    )
    for meeting_id, missing in await connection.execute(statement.group_by(_S.meeting_id)):
        meeting = meetings[meeting_id]
        if meeting.complete != (missing == 0):
            meeting.complete = missing == 0
            meeting.changed(meeting.last_rev_ms)


async def report_missing(connection: AsyncConnection, *, now_ms: int) -> int:
    """Return how many finals are missing that no earlier call returned, of sessions that have ended.

    A missing final that comes later makes its meeting complete by itself.
    """
    lacking = select(_S.id, _S.missing, _S.missing_reported).where(
        _S.end_rev_ms <= now_ms - _SETTLE_MS, _S.missing > _S.missing_reported
    )
    rows = (await connection.execute(lacking.order_by(_S.id).with_for_update(skip_locked=True))).all()
    await update_rows(connection, SESSIONS, [{"id": row.id, "missing_reported": row.missing} for row in rows])
    return sum(row.missing - row.missing_reported for row in rows)
