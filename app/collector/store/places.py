"""Which of a room's meetings an entry belongs to. Pure.

A meeting is told from the next one in the same room by time: an entry belongs to the meeting whose entries, from
first to last and `MEETING_IDLE_S` around them, include its own time. So a backlog of several meetings is told
apart in whatever order it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.collector.store.tombstones import Tombstone, is_refused, session_hash


@dataclass(slots=True)
class Span:
    """When a meeting was heard of (Unix ms of revisions). `meeting_id` is None until it gets its number."""

    meeting_id: int | None
    first_ms: int
    last_ms: int
    is_deleted: bool = False

    def distance_ms(self, rev_ms: int) -> int:
        """How far a time lies outside."""
        return max(self.first_ms - rev_ms, rev_ms - self.last_ms, 0)

    def extend(self, rev_ms: int) -> None:
        """Include a time."""
        self.first_ms, self.last_ms = min(self.first_ms, rev_ms), max(self.last_ms, rev_ms)


@dataclass(slots=True)
class RoomPlan:
    """The meetings of one room, and which session belongs to which."""

    native_hash: str
    idle_ms: int
    spans: list[Span] = field(default_factory=list)
    sessions: dict[str, Span] = field(default_factory=dict)
    tombstones: dict[str, list[Tombstone]] = field(default_factory=dict)

    def place(self, session_key: str, rev_ms: int, *, may_know: bool) -> Span | None:
        """The meeting of an entry, a new one if there is none; None: it was deleted.

        If `may_know`, the session's name tells it from others, so that it keeps its meeting.
        """
        known = self.sessions.get(session_key) if may_know else None
        if known is None and is_refused(self.tombstones, session_hash(self.native_hash, session_key), rev_ms):
            return None
        span = known or self._nearest(rev_ms)
        if span is None:
            if is_refused(self.tombstones, self.native_hash, rev_ms):
                return None
            span = Span(None, rev_ms, rev_ms)
            self.spans.append(span)
        if span.is_deleted:
            return None
        span.extend(rev_ms)
        if may_know:
            self.sessions[session_key] = span
        return span

    def _nearest(self, rev_ms: int) -> Span | None:
        near = [span for span in self.spans if not span.is_deleted and span.distance_ms(rev_ms) <= self.idle_ms]
        return min(near, key=lambda span: (span.distance_ms(rev_ms), -span.first_ms), default=None)


def by_hash(tombstones: Iterable[Tombstone]) -> dict[str, list[Tombstone]]:
    """Tombstones by what they stand for."""
    found: dict[str, list[Tombstone]] = {}
    for tombstone in tombstones:
        found.setdefault(tombstone.key_hash, []).append(tombstone)
    return found
