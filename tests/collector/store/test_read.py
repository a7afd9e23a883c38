from __future__ import annotations

from typing import Any

import pytest

from app.collector.errors import BadCursor
from app.collector.facts import Room
from app.collector.store.store import Store
from tests.collector.store.entries import T0, final, start
from tests.collector.store.reading import the_meeting


async def test_pages_of_segments_follow_each_other(store: Store):
    """Each segment stands on exactly one page, in reading order."""
    for session, begin in (("c1", 0), ("c2", 2500)):
        await store.apply([start(begin, begin, session=session)])
        await store.apply([
            final(9000 + i, f"{session}:{i}", i * 1000, i * 1000 + 900, f"{session} {i}", session=session)
            for i in range(4)
        ])  # fmt: skip
    meeting = await the_meeting(store)
    found, cursor = [], None
    while True:
        page = await store.segments(meeting.id, limit=3, cursor=cursor)
        found += [row.text for row in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert found == [row.text for row in (await store.segments(meeting.id, limit=None)).items]
    assert found == ["c1 0", "c1 1", "c1 2", "c2 0", "c1 3", "c2 1", "c2 2", "c2 3"]
    with pytest.raises(BadCursor):
        await store.segments(meeting.id, limit=3, cursor="x")


async def test_meetings_are_listed_newest_first(store: Store):
    """By pages, filtered, and only the owner's."""
    for number in range(5):
        room = Room("zoom" if number % 2 else "google_meet", f"n{number}")
        await store.apply([final(number * 1000, "a", 0, 900, "x", room=room, session=f"s{number}")])
    everything: dict[str, Any] = {"status": None, "platform": None, "offset": 0}
    first = await store.meetings(1, **everything, limit=3, cursor=None)
    second = await store.meetings(1, **everything, limit=3, cursor=first.next_cursor)
    assert [each.native_id for each in (*first.items, *second.items)] == ["n4", "n3", "n2", "n1", "n0"]
    assert second.next_cursor is None
    zoom = await store.meetings(1, status="active", platform="zoom", limit=1, offset=1, cursor=None)
    assert [each.native_id for each in zoom.items] == ["n1"]
    assert (await store.meetings(2, **everything, limit=3, cursor=None)).items == ()


async def test_a_meeting_belongs_to_its_owner(store: Store):
    """By name and by number; the newest of a room unless one is named."""
    await store.apply([final(1000, "a", 0, 900, "x")])
    await store.apply([final(5_000_000, "b", 0, 900, "y", session="c2")])
    newest = await the_meeting(store)
    assert newest.created_ms == T0 + 5_000_000
    older = await store.meeting(1, "google_meet", "abc-defg-hij", meeting_id=newest.id - 1)
    assert older is not None
    assert await store.meeting_by_id(1, older.id) == older
    assert await store.meeting_by_id(2, older.id) is None
    assert await store.seqs([older.id, newest.id, 5]) == {older.id: 1, newest.id: 1}
    assert newest.id > older.id >= 1_000_000_000


async def test_sessions_tell_whether_their_start_is_known(store: Store):
    """Estimated until the start event comes."""
    await store.apply([final(1000, "a", 0, 900, "x", uid="bot"), start(1001, 500, session="c2")])
    sessions = await store.sessions((await the_meeting(store)).id)
    assert [(each.key, each.uid, each.start_ms - T0, each.start_estimated) for each in sessions] == [
        ("c1", "bot", 100, True),
        ("c2", None, 500, False),
    ]
