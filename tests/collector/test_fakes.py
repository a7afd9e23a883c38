from __future__ import annotations

import pytest

from app.collector.errors import DatabaseAway, NotOver
from app.collector.facts import Entry, Retract, Revision, Room, SegmentFact, Segments
from app.collector.storage import Storage
from tests.collector.fake_store import FakeStore

ROOM = Room(platform="google_meet", native_id="abc")


def said(ms: int, key: str, text: str, *, completed: bool = True) -> Entry:
    """An entry with one segment."""
    fact = Segments((SegmentFact(key, has_id=True, text=text, completed=completed, start_ms=ms, end_ms=ms + 1),))
    return Entry("s", Revision(ms, 0), ROOM, "c1", "u1", "c1", (fact,))


async def test_fake_store_keeps_revisions():
    """The higher revision wins in any order, and a repetition changes nothing."""
    store: Storage = FakeStore()
    result = await store.apply([said(2, "a", "new"), said(1, "a", "old"), said(2, "a", "new")])
    assert result.counts == {"new": 1, "late": 1, "same": 1}
    assert [row.text for row in result.changes[0].segments] == ["new"]
    assert result.changes[0].sessions == ("c1",)
    assert (await store.apply([said(2, "a", "new")])).changes == ()


async def test_fake_store_retracts_and_promotes():
    """A retracted segment cannot come back, and an old draft becomes final."""
    store = FakeStore()
    gone = Entry("s", Revision(9, 0), ROOM, "c1", "u1", "c1", (Retract(("b",)),))
    await store.apply([gone, said(3, "b", "late"), said(4, "d", "draft", completed=False)])
    assert store.texts() == ["draft"]
    result = await store.promote_drafts(now_ms=40_000, older_than_s=30)
    assert [row.promoted for row in result.changes[0].segments] == [True]


async def test_fake_store_deletes_what_is_over():
    """An active meeting stays; a completed one is gone, with the ids of its entries, and stays gone."""
    store = FakeStore()
    await store.apply([said(1, "a", "secret")])
    with pytest.raises(NotOver):
        await store.delete_meeting(1, "google_meet", "abc", meeting_id=None, now_ms=5)
    await store.end_meetings(now_ms=10_000_000, idle_s=900)
    deletion = await store.delete_meeting(1, "google_meet", "abc", meeting_id=None, now_ms=5)
    assert deletion is not None
    assert deletion.entry_ids == {"s": ("1-0",)}
    assert (await store.apply([said(7, "b", "again")])).counts == {"tombstoned": 1}
    assert store.texts() == []


async def test_fake_store_can_be_away():
    """Then nothing is stored."""
    store = FakeStore()
    store.away = True
    with pytest.raises(DatabaseAway):
        await store.apply([said(1, "a", "x")])
    assert store.texts() == []
