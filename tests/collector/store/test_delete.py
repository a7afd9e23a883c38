from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.errors import NotOver
from app.collector.facts import Room
from app.collector.store.delete import delete_meeting, expire
from app.collector.store.store import Store
from tests.collector.store.entries import ROOM, STREAM, T0, final, speaks
from tests.collector.store.reading import the_meeting

WORD = "zanzibarian"
DAY_MS = 86_400_000


async def over(store: Store, *, at_ms: int = 1000, text: str = WORD, session: str = "c1") -> int:
    """A meeting that is over."""
    await store.apply([final(at_ms, f"{session}:0", 0, 900, text, session=session)])
    meeting = await the_meeting(store)
    await store.end_meeting(meeting.id, now_ms=T0 + at_ms)
    return meeting.id


async def delete(store: Store, now_ms: int = T0 + 2000, meeting_id: int | None = None):
    """Delete the room's meeting."""
    return await store.delete_meeting(1, "google_meet", str(ROOM.native_id), meeting_id=meeting_id, now_ms=now_ms)


async def test_only_a_meeting_that_is_over_can_be_deleted(store: Store):
    """An active one is refused; an unknown one is not there."""
    await store.apply([final(1000, "a", 0, 900, "one")])
    with pytest.raises(NotOver, match="Current status: active"):
        await delete(store)
    assert await store.delete_meeting(1, "zoom", "1", meeting_id=None, now_ms=T0) is None
    assert await store.delete_meeting(2, "google_meet", str(ROOM.native_id), meeting_id=None, now_ms=T0) is None


async def test_deleted_text_is_gone_and_stays_gone(store: Store):
    """Readers find nothing, late entries of the session are refused, a second deletion does nothing."""
    meeting_id = await over(store)
    await store.apply([speaks(1001, 0, "Ann")])
    deletion = await delete(store)
    assert deletion is not None
    assert (deletion.meeting.id, deletion.session_keys) == (meeting_id, ("c1",))
    assert f"{T0 + 1000}-0" in deletion.entry_ids[STREAM]
    applied = await store.apply([final(1500, "c1:1", 1000, 1900, WORD), speaks(1501, 0, "Ann")])
    assert (applied.changes, applied.counts) == ((), {"tombstoned": 2})
    assert await store.meeting(1, "google_meet", str(ROOM.native_id)) is None
    assert await store.meeting_by_id(1, meeting_id) is None
    assert (await store.segments(meeting_id, limit=None)).items == ()
    hits = await store.search(1, WORD, platform=None, from_ms=None, to_ms=None, speaker=None, limit=5, cursor=None)
    assert hits.items == ()
    again = await delete(store)
    assert again is not None
    assert again.session_keys == ()


async def test_a_second_deletion_spares_the_meeting_before(store: Store):
    """The newest row of the room is meant, deleted or not."""
    older = await over(store, text="older")
    newer = await over(store, at_ms=5_000_000, session="c2")
    await delete(store, T0 + 5_001_000)
    await delete(store, T0 + 5_001_000)
    assert (await the_meeting(store)).id == older != newer


async def test_a_meeting_is_deleted_by_its_number(store: Store):
    """By its owner only, once it is over; again changes nothing."""
    await store.apply([final(1000, "c1:0", 0, 900, WORD, session="c1")])
    meeting = await the_meeting(store)
    with pytest.raises(NotOver):
        await store.delete_meeting_by_id(1, meeting.id, now_ms=T0)
    await store.end_meeting(meeting.id, now_ms=T0)
    assert await store.delete_meeting_by_id(2, meeting.id, now_ms=T0) is None
    first = await store.delete_meeting_by_id(1, meeting.id, now_ms=T0)
    again = await store.delete_meeting_by_id(1, meeting.id, now_ms=T0)
    assert first is not None
    assert again is not None
    assert (first.session_keys, again.session_keys) == (("c1",), ())
    assert await store.meeting_by_id(1, meeting.id) is None


async def test_a_new_meeting_in_the_room_is_stored(store: Store):
    """Tombstones refuse what was said before the deletion, in sessions that were never stored too; nothing later."""
    await over(store)
    await delete(store)
    applied = await store.apply([final(1800, "q:0", 0, 900, WORD, session="queued")])
    assert applied.counts == {"tombstoned": 1}
    applied = await store.apply([final(3000, "n:0", 0, 900, "new", session="new")])
    assert applied.counts == {"new": 1}


async def test_a_numbered_meeting_stays_deleted(store: Store):
    """Its number names it for ever."""
    room = Room("google_meet", "abc", meeting_id=42)
    await store.apply([final(1000, "a", 0, 900, WORD, room=room)])
    await store.end_meeting(42, now_ms=T0 + 1000)
    assert await store.delete_meeting(1, "google_meet", "abc", meeting_id=42, now_ms=T0 + 2000)
    applied = await store.apply([final(9000, "b", 0, 900, WORD, room=room, session="c2")])
    assert applied.counts == {"tombstoned": 1}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_byte_of_a_deleted_text_stays_in_the_file(store: Store, tmp_path: Path):
    """Neither in the tables, nor in the full-text index, nor in the log."""
    for index in range(50):
        await store.apply(
            [final(index, f"o:{index}", index * 1000, index * 1000 + 900, "other", room=Room("zoom", "1"))]
        )
    await over(store, text=f"said {WORD} aloud")
    await delete(store)
    await store.checkpoint()
    data = _bytes(tmp_path)
    assert b"other" in data
    assert WORD.encode() not in data
    assert str(ROOM.native_id).encode() not in data


async def test_old_meetings_expire(store: Store):
    """Those that ended so many days ago, at most `limit` at once; 0 days keeps everything."""
    await over(store)
    assert await store.expire(now_ms=T0 + 99 * DAY_MS, retention_days=0, limit=10) == ()
    assert await store.expire(now_ms=T0 + 2 * DAY_MS, retention_days=2, limit=10) == ()
    (deletion,) = await store.expire(now_ms=T0 + 2 * DAY_MS + 1001, retention_days=2, limit=10)
    assert deletion.session_keys == ("c1",)
    assert await store.expire(now_ms=T0 + 99 * DAY_MS, retention_days=2, limit=10) == ()


def _bytes(folder: Path) -> bytes:
    """The database's file and its log."""
    return b"".join(path.read_bytes() for path in folder.glob("collector.db*"))


@pytest.mark.parametrize("expired", [False, True])
async def test_nothing_is_stored_while_a_meeting_is_deleted(store: Store, expired: bool):  # noqa: FBT001 - a parameter
    """An entry that comes between the deletion and its commit waits, and is then refused."""
    meeting_id = await over(store)
    is_deleted, may_commit = asyncio.Event(), asyncio.Event()

    async def slowly(connection: AsyncConnection) -> None:
        if expired:
            assert len(await expire(connection, now_ms=T0 + 9 * DAY_MS, retention_days=2, limit=10)) == 1
        else:
            native_id = str(ROOM.native_id)
            assert await delete_meeting(connection, 1, "google_meet", native_id, meeting_id=None, now_ms=T0 + 2000)
        is_deleted.set()
        await may_commit.wait()

    deleting = asyncio.create_task(store._database.write(slowly))
    await is_deleted.wait()
    storing = [
        asyncio.create_task(store.apply([each]))
        for each in (final(1500, "c1:1", 1000, 1900, WORD), speaks(1501, 0, "Ann"))
    ]
    done, _ = await asyncio.wait(storing, timeout=0.2)
    assert not done
    may_commit.set()
    await deleting
    assert [(await each).counts for each in storing] == [{"tombstoned": 1}, {"tombstoned": 1}]
    assert (await store.segments(meeting_id, limit=None)).items == ()
