from __future__ import annotations

import pytest

from app.collector.store.places import RoomPlan, Span, by_hash
from app.collector.store.tombstones import ROOM, SESSION, Tombstone, session_hash

MINUTE_MS = 60_000
IDLE_MS = 15 * MINUTE_MS


@pytest.mark.parametrize("order", [(0, 10, 60, 65), (65, 0, 60, 10), (10, 65, 0, 60)])
def test_two_meetings_of_a_room_are_told_apart_in_any_order(order: tuple[int, ...]):
    """Entries 50 minutes apart are two meetings, however they arrive."""
    plan = RoomPlan("room", IDLE_MS)
    spans = {minute: plan.place(f"s{minute}", minute * MINUTE_MS, may_know=True) for minute in order}
    assert spans[0] is spans[10]
    assert spans[60] is spans[65]
    assert spans[0] is not spans[60]


def test_a_known_session_keeps_its_meeting():
    """However long it was silent; a session without a name cannot be known."""
    plan = RoomPlan("room", IDLE_MS)
    first = plan.place("s", 0, may_know=True)
    assert plan.place("s", 99 * MINUTE_MS, may_know=True) is first
    assert plan.place("-", 500 * MINUTE_MS, may_know=False) is not plan.place("-", 0, may_know=False)


def test_tombstones_refuse_sessions_and_times():
    """A deleted session is refused for ever, others of the room as long as the meeting went on."""
    stones = [
        Tombstone(SESSION, session_hash("room", "gone"), 0, 10**15, 10**15),
        Tombstone(ROOM, "room", 1000, 2000, 10**15),
    ]
    plan = RoomPlan("room", IDLE_MS, [Span(1, 1000, 2000, is_deleted=True)], tombstones=by_hash(stones))
    assert plan.place("gone", 10**9, may_know=True) is None
    assert plan.place("other", 1500, may_know=True) is None
    assert plan.place("other", 2001, may_know=True) is not None
