from __future__ import annotations

from typing import Any

import pytest

from app.collector.redis_io.connection import Client, RedisFull
from app.collector.redis_io.entries import DeadLetter, RawEntry
from app.collector.redis_io.reader import ReadOptions, StreamReader

STREAMS = ("segments", "events")


def reader(redis: Client, consumer: str = "a", **options: Any) -> StreamReader:
    """A consumer that waits for nothing."""
    defaults: dict[str, Any] = {"block_ms": 5, "linger_s": 0.0, "claim_idle_ms": 0}
    return StreamReader(redis, redis, ReadOptions(STREAMS, "g", consumer, **(defaults | options)))


async def add(redis: Client, stream: str, *payloads: str) -> list[str]:
    """Add entries; return their ids."""
    return [str(await redis.xadd(stream, {"payload": payload})) for payload in payloads]


async def pending(redis: Client, stream: str) -> int:
    """How many entries the group has not acknowledged."""
    answer: Any = await redis.xpending(stream, "g")
    return int(answer["pending"])


async def test_missing_group_is_created_from_the_beginning(redis: Client):
    """Entries that were there before the first read are read."""
    ids = await add(redis, "segments", "one", "two")
    await redis.xadd("events", {"uid": "u", "event_type": "SPEAKER_START"})
    consumer = reader(redis)
    assert await consumer.read() == []
    entries = await consumer.read()
    assert entries[:2] == [
        RawEntry("segments", id_, {"payload": text}) for id_, text in zip(ids, ("one", "two"), strict=True)
    ]
    assert entries[2].fields == {"uid": "u", "event_type": "SPEAKER_START"}


async def test_group_comes_back_after_redis_lost_its_data(redis: Client):
    """An empty Redis is no error: the group is created again, and new entries are read."""
    consumer = reader(redis)
    await consumer.prepare()
    await redis.flushall()
    assert await consumer.read() == []
    await add(redis, "segments", "new")
    assert [entry.fields["payload"] for entry in await consumer.read()] == ["new"]
    await redis.flushall()
    assert (await consumer.claim("segments")).entries == ()


async def test_burst_shares_a_batch(redis: Client):
    """After the first entries it looks once more, up to the count."""
    consumer = reader(redis, linger_s=0.001, count=3)
    await consumer.prepare()
    await add(redis, "segments", *"abcde")
    assert [entry.fields["payload"] for entry in await consumer.read()] == ["a", "b", "c"]
    assert [entry.fields["payload"] for entry in await consumer.read()] == ["d", "e"]


async def test_stale_deliveries_are_taken_over(redis: Client):
    """What another consumer did not acknowledge comes with its number of deliveries, page by page."""
    lost, rescuer = reader(redis, "lost"), reader(redis, "rescuer", count=2)
    await lost.prepare()
    ids = await add(redis, "segments", "a", "b", "c")
    await lost.read()
    first = await rescuer.claim("segments")
    assert first.deliveries == {ids[0]: 2, ids[1]: 2}
    second = await rescuer.claim("segments", first.cursor)
    assert [entry.id for entry in second.entries] == [ids[2]]
    assert second.cursor == "0-0"


async def test_entries_trimmed_unread_are_told(redis: Client):
    """A delivery whose entry is gone is counted, not skipped in silence."""
    lost, rescuer = reader(redis, "lost"), reader(redis, "rescuer")
    await lost.prepare()
    ids = await add(redis, "segments", "a", "b")
    await lost.read()
    await redis.xdel("segments", ids[0])
    claimed = await rescuer.claim("segments")
    assert claimed.deleted == 1
    assert [entry.id for entry in claimed.entries] == [ids[1]]


async def test_renewed_deliveries_are_not_taken_over(redis: Client):
    """Renewing starts the idle time anew and is not counted as a delivery."""
    holder = reader(redis, "holder")
    await holder.prepare()
    await add(redis, "segments", "a")
    entries = await holder.read()
    await redis.xclaim("segments", "g", "holder", 0, [entries[0].id], idle=60_000, justid=True)
    await holder.renew(entries)
    assert (await reader(redis, "other", claim_idle_ms=50_000).claim("segments")).entries == ()
    assert await holder.deliveries(entries) == {entries[0].id: 1}


async def test_acknowledged_entries_are_done(redis: Client):
    """Entries of both streams, in one call; none is no call."""
    consumer = reader(redis)
    await consumer.prepare()
    await add(redis, "segments", "a", "b")
    await add(redis, "events", "c")
    await consumer.ack(await consumer.read())
    await consumer.ack([])
    assert [await pending(redis, stream) for stream in STREAMS] == [0, 0]


async def test_buried_entry_is_kept_and_acknowledged(redis: Client):
    """It is in the dead letters of its stream, byte by byte."""
    consumer = reader(redis)
    await consumer.prepare()
    await redis.xadd("segments", {"payload": b"\xff{"})
    (entry,) = await consumer.read()
    await consumer.bury([DeadLetter(entry, "not JSON", 1)])
    assert await pending(redis, "segments") == 0
    dead: Any = await redis.xrange("segments:dead")
    assert dead[0][1] == {"payload": "\udcff{", "id": entry.id, "error": "not JSON", "deliveries": "1"}


async def test_full_redis_keeps_the_entry_pending(redis: Client):
    """What cannot be written to the dead letters is not acknowledged either."""
    consumer = reader(redis)
    await consumer.prepare()
    await add(redis, "segments", "a")
    (entry,) = await consumer.read()
    await redis.config_set("maxmemory", "1")
    with pytest.raises(RedisFull):
        await consumer.bury([DeadLetter(entry, "not JSON", 1)])
    await redis.config_set("maxmemory", "0")
    assert await pending(redis, "segments") == 1
