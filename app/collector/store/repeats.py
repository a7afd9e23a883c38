"""Hide segments that repeat another one, of producers without segment ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import and_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.overlap import LegacySegment, hidden_by
from app.collector.store.merge import VISIBLE, Segment, Session
from app.collector.store.state import Meeting, load_segments
from app.collector.store.tables import SEGMENTS

_T = SEGMENTS.c
TOLERANCE_MS: Final = 50  # of app/collector/overlap.py
_REACH_MS: Final = 60_000  # Whisper's segments last up to 30 s; one touches those within this time


async def hide_repeats(connection: AsyncConnection, meetings: Iterable[Meeting]) -> None:
    """Decide again which segments are hidden, around those that changed."""
    sessions = [session for meeting in meetings for session in meeting.sessions.values() if _changed(session)]
    if not sessions:
        return
    spans = [_span(_changed(session)) for session in sessions]
    first_ms = min(session.start_ms + span[0] for session, span in zip(sessions, spans, strict=True)) - 2 * _REACH_MS
    last_ms = max(session.start_ms + span[1] for session, span in zip(sessions, spans, strict=True)) + 2 * _REACH_MS
    meeting_ids = sorted({session.meeting_id for session in sessions})
    await load_segments(
        connection,
        sessions,
        and_(_T.meeting_id.in_(meeting_ids), _T.abs_start_ms.between(first_ms - _REACH_MS, last_ms)),
        _T.has_id.is_(False),
        _T.deleted.is_(False),
    )
    for session, span in zip(sessions, spans, strict=True):
        hide_in(session, *span)


def hide_in(session: Session, first_ms: int, last_ms: int) -> None:
    """Decide for the segments between two times of a session; the loaded ones reach further."""
    rows = [row for row in session.segments.values() if not row.has_id and not row.deleted]
    hidden = hidden_by([_plain(row) for row in _overlapping(rows)])
    for row in rows:
        is_near = row.end_ms >= first_ms - _REACH_MS and row.start_ms <= last_ms + _REACH_MS
        if is_near and row.hidden_by != hidden.get(row.key):
            row.hidden_by = hidden.get(row.key)
            row.changed(0)


def _changed(session: Session) -> list[Segment]:
    return [row for row in session.segments.values() if row.change == VISIBLE and not row.has_id]


def _span(rows: Sequence[Segment]) -> tuple[int, int]:
    return min(row.start_ms for row in rows), max(row.end_ms for row in rows)


def _overlapping(rows: Iterable[Segment]) -> list[Segment]:
    """Those that share time with another one; the others repeat nothing."""
    found: dict[str, Segment] = {}
    longest: Segment | None = None  # of those before, the one that ends last
    for row in sorted(rows, key=lambda each: (each.start_ms, each.end_ms)):
        if longest is not None and _share_time(longest, row):
            found[longest.key], found[row.key] = longest, row
        if longest is None or row.end_ms > longest.end_ms:
            longest = row
    return list(found.values())


def _share_time(longest: Segment, row: Segment) -> bool:
    """A segment shorter than the tolerance may lie wholly beyond the edge of the one that contains it."""
    shortest_ms = min(longest.end_ms - longest.start_ms, row.end_ms - row.start_ms)
    return row.start_ms < longest.end_ms + (TOLERANCE_MS + 1 if shortest_ms <= TOLERANCE_MS else 0)


def _plain(row: Segment) -> LegacySegment:
    return LegacySegment(row.key, row.start_ms, row.end_ms, row.text, row.speaker, row.completed)
