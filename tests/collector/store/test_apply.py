from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence

import pytest

from app.collector.facts import Entry, Room, Segments
from app.collector.store.store import Store
from tests.collector.store.entries import (
    ROOM,
    T0,
    draft,
    end,
    entry,
    final,
    legacy,
    retraction,
    segment,
    speaks,
    start,
    window,
)
from tests.collector.store.reading import everything, segments, texts, the_meeting


async def test_one_entry_five_times_is_one_row(store: Store):
    """A repeated entry changes nothing, and the meeting's counter grows once."""
    one = final(1000, "a:0", 0, 900, "hello", gateway=True)
    for _ in range(5):
        await store.apply([one])
    assert await texts(store) == ["hello"]
    assert (await the_meeting(store)).seq == 1


async def test_a_change_says_what_readers_must_do(store: Store):
    """New rows come in reading order, replaced drafts as keys, and the counter before."""
    first = await store.apply([draft(1000, "d", 1000, 1500, "may"), final(1000, "f", 0, 900, "yes", n=1)])
    assert [row.text for row in first.changes[0].segments] == ["yes", "may"]
    assert (first.changes[0].prev_seq, first.changes[0].meeting.seq, first.changes[0].sessions) == (0, 1, ("c1",))
    second = await store.apply([retraction(2000, "d")])
    assert (second.changes[0].segments, second.changes[0].retracted) == ((), ("d",))
    assert second.changes[0].prev_seq == 1
    assert first.counts == {"new": 2}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_draft_never_replaces_a_final(store: Store, order: tuple[int, int]):
    """A draft that is older, and comes later, changes nothing."""
    entries = [draft(1000, "x", 0, 500, "hel"), final(2000, "x", 0, 900, "hello")]
    for index in order:
        await store.apply([entries[index]])
    assert [(row.text, row.completed) for row in await segments(store)] == [("hello", True)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_retracted_segment_is_gone_in_both_orders(store: Store, order: tuple[int, int]):
    """A retraction that comes before its segment keeps it out."""
    entries = [final(1000, "x", 0, 900, "never said"), retraction(2000, "x")]
    for index in order:
        await store.apply([entries[index], final(500, "y", 0, 100, "said")])
    assert await texts(store) == ["said"]


async def test_a_final_of_our_gateway_stays(store: Store):
    """Another text for the same final is counted, and the first one stays."""
    await store.apply([final(1000, "c1:0", 0, 900, "first", gateway=True)])
    applied = await store.apply([final(2000, "c1:0", 0, 900, "second", gateway=True)])
    assert applied.conflicts == 1
    assert await texts(store) == ["first"]


async def test_other_producers_may_refine_a_final(store: Store):
    """The higher revision wins, whichever comes first."""
    await store.apply([final(2000, "x", 0, 900, "refined")])
    await store.apply([final(1000, "x", 0, 900, "rough")])
    assert await texts(store) == ["refined"]


async def test_a_drifting_draft_is_one_draft(store: Store):
    """A producer without ids sends its draft with other starts; only the last one is shown."""
    for at_ms, start_ms in ((1000, 3200), (2000, 3240), (3000, 3180)):
        applied = await store.apply(
            [window(at_ms, legacy(0, 3000, "final"), legacy(start_ms, 4000, "dra", final=False))]
        )
        assert len([row for row in await segments(store) if not row.completed]) == 1
    assert applied.changes[0].retracted == ("t:3240",)


async def test_short_words_are_stored(store: Store):
    """Text is never dropped for its content."""
    said = ["no", "OK", "hello", "好", "aaaaah", "[BLANK_AUDIO]"]
    await store.apply(
        [final(index, f"x:{index}", index * 1000, index * 1000 + 500, text) for index, text in enumerate(said)]
    )
    assert await texts(store) == said


async def test_a_session_without_a_start_is_visible_and_corrected_later(store: Store):
    """Times are estimated until the start event comes, which may be late."""
    await store.apply([final(10_000, "a:0", 1000, 2000, "one", gateway=True)])
    (row,) = await segments(store)
    assert row.abs_start_ms == T0 + 10_000 - 2000 + 1000
    before = (await the_meeting(store)).seq
    applied = await store.apply([start(30_000, 5000, gateway=True)])
    assert [each.abs_start_ms for each in applied.changes[0].segments] == [T0 + 6000]
    meeting = await the_meeting(store)
    assert (meeting.seq, meeting.start_ms, meeting.end_ms) == (before + 1, T0 + 5000, T0 + 7000)


async def test_sessions_of_a_meeting_do_not_interleave(store: Store):
    """A reconnect starts again from second 0 and nothing collides."""
    for session, begin in (("c1", 0), ("c2", 600_000)):
        await store.apply([start(begin, begin, session=session, uid="bot", gateway=True)])
        await store.apply(
            [
                final(begin + 5000 + i, f"{session}:{i}", i * 1000, i * 1000 + 900, f"{session} {i}", session=session)
                for i in range(2)
            ]
        )
    assert await texts(store) == ["c1 0", "c1 1", "c2 0", "c2 1"]


async def test_a_repeated_legacy_final_is_hidden(store: Store):
    """The longer text is shown, the shorter one only to those who ask for everything."""
    await store.apply([window(1000, legacy(0, 2000, "It was a milestone."))])
    applied = await store.apply([window(2000, legacy(20, 3000, "It was a milestone to get here"))])
    assert await texts(store) == ["It was a milestone to get here"]
    assert len(await texts(store, hidden=True)) == 2
    assert applied.changes[0].retracted == ("t:0",)
    changed = await segments(store, since_seq=1)
    assert [(row.key, row.deleted) for row in changed] == [("t:0", True), ("t:20", False)]


async def test_speakers_are_named_before_with_and_after(store: Store):
    """The names are the same whenever the events come; two at once are said to be so."""
    await store.apply([speaks(1, 0, "Ann")])
    await store.apply([final(5000, "c1:0", 0, 4000, "one"), speaks(5001, 4500, "Ann", "END")])
    await store.apply([final(9000, "c1:1", 5000, 8000, "two")])
    applied = await store.apply([speaks(60_000, 5000, "Bob"), speaks(60_001, 7000, "Cid")])
    assert [row.speaker for row in applied.changes[0].segments] == ["Bob"]
    shown = [(row.speaker, row.speaker_status) for row in await segments(store)]
    assert shown == [("Ann", "MAPPED"), ("Bob", "MULTIPLE_CONCURRENT_SPEAKERS")]


async def test_late_speaker_events_are_ignored_after_the_grace_time(store: Store):
    """Five minutes after the end of the session names no longer change."""
    await store.apply([final(5000, "c1:0", 0, 4000, "one"), end(6000, 6000)])
    await store.apply([speaks(6000 + 300_001, 0, "Ann")])
    assert [row.speaker for row in await segments(store)] == [None]
    await store.apply([speaks(6000 + 300_000, 0, "Bob")])
    assert [row.speaker for row in await segments(store)] == ["Bob"]


async def test_a_missing_final_makes_a_meeting_incomplete(store: Store):
    """The session's end counts its finals; the one that comes late completes the meeting."""
    finals = [final(1000 + i, f"c1:{i}", i * 1000, i * 1000 + 900, str(i), ordinal=i, gateway=True) for i in range(3)]
    await store.apply([finals[0], finals[2]])
    assert (await the_meeting(store)).complete is None
    await store.apply([end(5000, 5000, 3, gateway=True)])
    assert (await the_meeting(store)).complete is False
    assert [await store.recheck_complete(now_ms=T0 + 10_000) for _ in range(2)] == [1, 0]
    await store.apply([finals[1]])
    assert (await the_meeting(store)).complete is True


async def test_a_token_may_expire_during_the_meeting_but_not_before(store: Store):
    """What counts is the first entry of the session."""
    room = Room("google_meet", "abc", meeting_id=7, owner_id=1, expires_ms=T0 + 2000)
    applied = await store.apply([final(1000, "a", 0, 900, "one", room=room)])
    applied = await store.apply([final(3000, "b", 1000, 1900, "two", room=room)])
    assert applied.refused == ()
    applied = await store.apply([final(3000, "c", 0, 900, "three", room=room, session="c2")])
    assert [each.reason for each in applied.refused] == ["the token expired before the session's first entry"]
    assert [row.text for row in (await store.segments(7, limit=None)).items] == ["one", "two"]


async def test_a_late_entry_reopens_a_meeting(store: Store):
    """A meeting that was ended is active again when somebody speaks."""
    await store.apply([final(1000, "a", 0, 900, "one")])
    meeting = await the_meeting(store)
    await store.end_meeting(meeting.id, now_ms=T0 + 2000)
    assert (await the_meeting(store)).status == "completed"
    await store.apply([final(3000, "b", 1000, 1900, "two")])
    assert (await the_meeting(store)).status == "active"


def stream() -> list[Entry]:
    """Entries of three sessions and two rooms with everything that may happen in them."""
    entries: list[Entry] = [start(0, 0, session="g1", uid="bot", gateway=True)]
    for i in range(12):
        at = 2000 + i * 2000
        entries.append(
            final(
                at,
                f"g1:{i}",
                i * 2000,
                i * 2000 + 1900,
                f"gateway {i}",
                ordinal=i,
                session="g1",
                uid="bot",
                gateway=True,
            )
        )
    entries += [
        speaks(3000 + i * 4000, i * 4000, name, session="g1", gateway=True)
        for i, name in enumerate(("Ann", "Bob", "Ann", "Cid"))
    ]
    entries += [
        speaks(6500 + i * 4000, 3500 + i * 4000, name, "END", session="g1", gateway=True)
        for i, name in enumerate(("Ann", "Bob", "Ann"))
    ]
    entries.append(end(30_000, 26_000, 12, session="g1", uid="bot", gateway=True))
    for i in range(8):  # a producer without ids: repeated finals, a drifting draft, a repetition of what was said
        finals = [
            legacy(j * 3000, j * 3000 + 2900, f"window number {j} of this meeting") for j in range(max(i - 3, 0), i)
        ]
        finals += [legacy(i * 3000 - 2980, i * 3000 - 1500, f"window number {i - 1}")] if i in (3, 5) else []
        entries.append(
            window(3500 + i * 3000, *finals, legacy(i * 3000 + 7 * (i % 3), i * 3000 + 900, f"dra {i}", final=False))
        )
    entries += [speaks(5000 + i * 2500, i * 3100, name, session="u1") for i, name in enumerate(("Dan", "Eve", "Dan"))]
    room = Room("zoom", "99")
    for i in range(6):  # drafts, refined finals and retractions by id; the start comes last
        more = {"room": room, "session": "r1", "uid": "r1"}
        entries.append(draft(4000 + i * 1000, f"r:{i}", i * 1000, i * 1000 + 500, f"dr {i}", **more))
        entries.append(final(4100 + i * 1000, f"r:{i}", i * 1000, i * 1000 + 800, f"rough {i}", **more))
        if i % 2:
            entries.append(
                final(4900 + i * 1000, f"r:{i}", i * 1000, i * 1000 + 850, f"refined {i}", speaker="Flo", **more)
            )
        if i == 4:
            entries.append(retraction(9500, "r:4", "r:5", **more))
    entries.append(draft(11_000, "r:9", 9000, 9500, "unfinished", room=room, session="r1", uid="r1"))
    entries.append(start(25_000, 3000, room=room, session="r1", uid="r1"))
    epoch = segment("e:1", 0, 0, "epoch")
    entries.append(
        entry(
            12_000,
            Segments((type(epoch)("e:1", True, "by the clock", True, abs_start_ms=T0 + 9000, abs_end_ms=T0 + 9900),)),
            session="e1",
            room=room,
        )
    )
    entries.append(
        entry(
            11_500,
            Segments((type(epoch)("e:0", True, "earlier", True, abs_start_ms=T0 + 8000, abs_end_ms=T0 + 8900),)),
            session="e1",
            room=room,
        )
    )
    return entries


def dice(seed: int) -> random.Random:
    """Chance that can be repeated."""
    return random.Random(seed)


def batches(entries: Sequence[Entry], chance: random.Random) -> Iterator[list[Entry]]:
    """Entries in random order, some of them twice, in batches of random size."""
    waiting = [*entries, *chance.choices(entries, k=len(entries) // 2)]
    chance.shuffle(waiting)
    while waiting:
        size = chance.randint(1, 12)
        yield waiting[:size]
        waiting = waiting[size:]


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_reads_the_same(store: Store, seed: int, tmp_path):
    """However entries are ordered, repeated and divided into batches, readers see the same in the end."""
    ordered = await Store.open(f"sqlite:///{tmp_path / 'ordered.db'}")
    for one in sorted(stream(), key=lambda each: each.revision):
        await ordered.apply([one])
    expected = await everything(ordered)
    await ordered.close()
    for batch in batches(stream(), dice(seed)):
        await store.apply(batch)
    assert await everything(store) == expected
    for batch in batches(stream(), dice(-seed)):
        assert (await store.apply(batch)).changes == ()


async def test_collectors_beside_each_other_store_everything_once(database_url: str):
    """Four stores on one database share a stream, each entry twice, without deadlocks or losses."""
    stores = [await Store.open(database_url) for _ in range(4)]
    rooms = [Room("google_meet", f"room-{i}") for i in range(5)]
    entries = [
        final(
            1000 + i,
            f"s{i % 7}:{i}",
            i * 100,
            i * 100 + 90,
            f"word{i}",
            room=rooms[i % 5],
            session=f"s{i % 35}",
            gateway=True,
        )
        for i in range(700)
    ]
    entries += [
        speaks(5000 + i, i * 50, f"n{i % 3}", session=f"s{i % 35}", room=rooms[i % 5], gateway=True) for i in range(70)
    ]

    async def collect(store: Store, chance: random.Random) -> None:
        for batch in batches(entries, chance):
            await store.apply(batch)

    await asyncio.gather(*(collect(each, dice(index)) for index, each in enumerate(stores)))
    found = []
    for room in rooms:
        page = await stores[0].meetings(1, status=None, platform=None, limit=100, offset=0, cursor=None)
        assert len(page.items) == 5
        meeting = await the_meeting(stores[0], str(room.native_id))
        rows = (await stores[0].segments(meeting.id, limit=None)).items
        assert max(row.seq for row in rows) <= meeting.seq
        found += [row.text for row in rows]
    assert sorted(found) == sorted(f"word{i}" for i in range(700))
    for each in stores:
        await each.close()


async def test_nothing_changes_nothing(store: Store):
    """An empty batch is a transaction without changes."""
    assert (await store.apply([])).changes == ()
    assert ROOM.native_id


async def test_repeats_are_hidden_in_sessions_of_the_same_name(store: Store):
    """Two meetings whose producers name no session: what one of them hides does not depend on the other."""
    other = Room("google_meet", "other")
    said = [
        entry(1000, Segments((legacy(0, 2000, "It was a milestone."),)), session="-"),
        entry(1001, Segments((legacy(20, 3000, "It was a milestone to get here"),)), session="-"),
        entry(1002, Segments((legacy(900_000, 901_000, "later"),)), session="-", room=other),
    ]
    await store.apply(said)
    assert await texts(store) == ["It was a milestone to get here"]
