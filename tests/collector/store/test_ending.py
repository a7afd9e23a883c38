from __future__ import annotations

from app.collector.store.store import Store
from tests.collector.store.entries import T0, draft, end, final, legacy, window
from tests.collector.store.reading import segments, the_meeting


async def test_a_draft_without_news_becomes_final(store: Store):
    """After 30 s of stream time, and marked; before that it stays a draft."""
    await store.apply([draft(1000, "x", 0, 500, "and then")])
    assert (await store.promote_drafts(now_ms=T0 + 30_999, older_than_s=30)).changes == ()
    applied = await store.promote_drafts(now_ms=T0 + 31_000, older_than_s=30)
    assert applied.counts == {"promoted": 1}
    assert [(row.text, row.completed, row.promoted) for row in await segments(store)] == [("and then", True, True)]


async def test_drafts_of_an_ended_session_become_final(store: Store):
    """Nothing more can come."""
    await store.apply([window(1000, legacy(0, 500, "bye", final=False)), end(1500, 1500, session="u1")])
    assert (await store.promote_drafts(now_ms=T0 + 1500, older_than_s=30)).counts == {"promoted": 1}


async def test_a_later_final_replaces_a_promoted_draft(store: Store):
    """The promotion was a guess; the producer's final is not."""
    await store.apply([draft(1000, "x", 0, 500, "and")])
    await store.promote_drafts(now_ms=T0 + 99_000, older_than_s=30)
    await store.apply([final(900, "x", 0, 800, "and then")])
    assert [(row.text, row.promoted) for row in await segments(store)] == [("and then", False)]


async def test_a_silent_meeting_ends(store: Store):
    """It is completed once nothing was heard of it for a quarter of an hour, with its drafts final."""
    await store.apply([final(1000, "a", 0, 900, "one"), draft(2000, "b", 1000, 1500, "two")])
    assert (await store.end_meetings(now_ms=T0 + 902_000, idle_s=900)).changes == ()
    (change,) = (await store.end_meetings(now_ms=T0 + 902_001, idle_s=900)).changes
    assert (change.meeting.status, change.prev_seq, change.meeting.seq) == ("completed", 1, 2)
    assert [row.text for row in change.segments] == ["two"]
    assert (await store.end_meetings(now_ms=T0 + 902_001, idle_s=900)).changes == ()


async def test_a_meeting_is_ended_on_request(store: Store):
    """With the status that was heard; a second request and an unknown meeting change nothing."""
    await store.apply([final(1000, "a", 0, 900, "one")])
    meeting = await the_meeting(store)
    await store.end_meeting(meeting.id, now_ms=T0 + 2000, status="failed")
    assert (await the_meeting(store)).status == "failed"
    assert (await store.end_meeting(meeting.id, now_ms=T0 + 3000)).changes == ()
    assert (await store.end_meeting(12345, now_ms=T0)).changes == ()


async def test_replaced_drafts_are_forgotten_after_an_hour(store: Store):
    """Their empty rows would grow without end; readers that ask what changed learn of them until then."""
    await store.apply([window(1000, legacy(0, 500, "a", final=False))])
    await store.apply([window(2000, legacy(40, 500, "b", final=False))])
    assert [row.deleted for row in await segments(store, since_seq=0)] == [True, False]
    await store.promote_drafts(now_ms=T0 + 3_700_000, older_than_s=30)
    assert [row.text for row in await segments(store, since_seq=0)] == ["b"]


async def test_a_missing_final_is_reported_however_late(store: Store):
    """Once, even if stream time leapt over the end of its session because a backlog was read."""
    await store.apply([final(1000, "c1:0", 0, 900, "one", ordinal=0), end(2000, 2000, 2)])
    assert [await store.recheck_complete(now_ms=T0 + 7_200_000) for _ in range(2)] == [1, 0]
