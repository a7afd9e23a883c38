from __future__ import annotations

from app.collector.facts import Revision
from app.collector.redis_io.connection import Client
from app.collector.redis_io.groups import create_groups, group_states, oldest_unstored, server_ms, stream_time_ms


async def test_a_group_is_created_once(redis: Client):
    """A second call changes nothing, and a stream that does not exist has no group."""
    assert await group_states(redis, "s") == ()
    await create_groups(redis, ["s"], "g")
    await create_groups(redis, ["s"], "g")
    (state,) = await group_states(redis, "s")
    assert (state.name, state.last, state.oldest_pending, state.pending) == ("g", Revision(0, 0), None, 0)


async def test_oldest_unstored_entry(redis: Client):
    """A pending one if there is one, else the next that was not delivered, else none; also without a group."""
    for n in (1, 2, 3):
        await redis.xadd("s", {"a": n}, id=f"{n}-0")
    assert await oldest_unstored(redis, "s", "g") == Revision(1, 0)
    await create_groups(redis, ["s"], "g")
    await redis.xreadgroup("g", "c", {"s": ">"}, count=2)
    await redis.xack("s", "g", "1-0")
    assert await oldest_unstored(redis, "s", "g") == Revision(2, 0)
    await redis.xack("s", "g", "2-0")
    assert await oldest_unstored(redis, "s", "g") == Revision(3, 0)
    await redis.xreadgroup("g", "c", {"s": ">"})
    await redis.xack("s", "g", "3-0")
    assert await oldest_unstored(redis, "s", "g") is None


async def test_stream_time_stands_at_the_oldest_unstored_entry(redis: Client):
    """The earliest of all streams; Redis' own time when everything is stored."""
    await create_groups(redis, ["s", "t"], "g")
    before = await server_ms(redis)
    assert await stream_time_ms(redis, ["s", "t"], "g") >= before
    await redis.xadd("t", {"a": 1}, id="7000-0")
    assert await stream_time_ms(redis, ["s", "t"], "g") == 7000


async def test_unknown_lag_is_not_zero(redis: Client):
    """After a deletion ahead of the group Redis cannot tell how many entries wait."""
    await create_groups(redis, ["s"], "g")
    ids = [await redis.xadd("s", {"a": n}) for n in range(5)]
    await redis.xreadgroup("g", "c", {"s": ">"}, count=1)
    (state,) = await group_states(redis, "s")
    assert state.lag == 4
    await redis.xdel("s", str(ids[3]))
    (state,) = await group_states(redis, "s")
    assert state.lag is None
