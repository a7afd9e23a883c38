from __future__ import annotations

from typing import Any

import pytest

from app.collector.facts import Revision
from app.collector.redis_io.connection import Client
from app.collector.redis_io.groups import create_groups, server_ms
from app.collector.redis_io.trim import leave, needed_from, remove_idle_consumers, trim, trim_all


@pytest.fixture
async def filled(redis: Client) -> Client:
    """A stream of 1000 old entries with a group that has acknowledged all but the last 100."""
    await create_groups(redis, ["s"], "g")
    async with redis.pipeline(transaction=False) as pipe:
        for n in range(1, 1001):
            pipe.xadd("s", {"a": n}, id=f"{n}-0")
        await pipe.execute()
    answer: Any = await redis.xreadgroup("g", "c", {"s": ">"}, count=900)
    await redis.xack("s", "g", *(id_ for id_, _ in answer[0][1]))
    return redis


async def first_id(redis: Client) -> str:
    """The oldest entry of the stream."""
    found: Any = await redis.xrange("s", count=1)
    return str(found[0][0])


async def test_unread_entries_are_kept(filled: Client):
    """Whole blocks below the last delivered entry go, nothing above it."""
    assert await trim(filled, "s", keep_s=600) == 900
    assert await first_id(filled) == "901-0"


async def test_pending_entries_are_kept(filled: Client):
    """Nothing from the oldest pending entry on is deleted."""
    await filled.xreadgroup("g", "c", {"s": ">"}, count=10)
    await filled.xack("s", "g", *(f"{n}-0" for n in range(902, 911)))
    assert await needed_from(filled, "s") == Revision(901, 0)


async def test_the_slowest_group_decides(filled: Client):
    """Entries that another program's group has not read are kept."""
    await filled.xgroup_create("s", "other", id="0")
    assert await trim(filled, "s", keep_s=600) == 0
    await filled.xgroup_setid("s", "other", "500-0")
    assert await trim(filled, "s", keep_s=600) == 500


async def test_young_entries_are_kept(redis: Client):
    """An acknowledged entry stays for the time it is to be kept, in exact trimming not."""
    await create_groups(redis, ["s"], "g")
    now_ms = await server_ms(redis)
    for n in range(200):
        await redis.xadd("s", {"a": n}, id=f"{now_ms - 300_000}-{n + 1}")
    answer: Any = await redis.xreadgroup("g", "c", {"s": ">"})
    await redis.xack("s", "g", *(id_ for id_, _ in answer[0][1]))
    assert await trim(redis, "s", keep_s=600) == 0
    assert await trim(redis, "s", keep_s=60) > 0
    await trim_all(redis, "s")
    assert await redis.xlen("s") == 0


async def test_stream_without_a_group_is_left_alone(redis: Client):
    """Nobody has read it yet."""
    await redis.xadd("s", {"a": 1}, id="1-0")
    assert await trim(redis, "s", keep_s=0) == 0
    assert await trim_all(redis, "s") is None
    assert await redis.xlen("s") == 1


async def test_idle_consumers_without_deliveries_are_removed(filled: Client):
    """One with deliveries stays, because somebody must take them over; so does one that was seen lately."""
    await filled.xreadgroup("g", "holder", {"s": ">"}, count=1)
    await filled.xgroup_createconsumer("s", "g", "gone")
    assert await remove_idle_consumers(filled, "s", "g") == 0
    assert await remove_idle_consumers(filled, "s", "g", idle_ms=0) == 2
    left: Any = await filled.xinfo_consumers("s", "g")
    assert [each["name"] for each in left] == ["holder"]


async def test_a_consumer_that_stops_leaves(filled: Client):
    """It alone is removed, and only without deliveries."""
    await filled.xreadgroup("g", "holder", {"s": ">"}, count=1)
    await leave(filled, "s", "g", "holder")
    await leave(filled, "s", "g", "c")
    left: Any = await filled.xinfo_consumers("s", "g")
    assert [each["name"] for each in left] == ["holder"]
