from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from app.http.key_limits.redis_counters import Away, RedisCounters
from tests.servers import RedisServer


@pytest.fixture
async def counters(redis_server: RedisServer) -> AsyncIterator[RedisCounters]:
    """Counters of one worker."""
    mine = RedisCounters(redis_server.url)
    yield mine
    await mine.close()


async def test_counters_are_shared(counters: RedisCounters, redis_server: RedisServer):
    """What one worker adds another one reads; a counter expires."""
    other = RedisCounters(redis_server.url)
    assert await counters.add("requests:alice:12:00", 1, expires_s=60) == 1
    assert await other.add("requests:alice:12:00", 1, expires_s=60) == 2
    assert await counters.read("requests:alice:12:00") == 2
    assert await counters.read("requests:alice:12:01") == 0
    assert await counters.add("short", 1, expires_s=1) == 1
    async with asyncio.timeout(10):
        while await other.read("short"):
            await asyncio.sleep(0.05)
    await other.close()


async def test_running_requests_are_shared(counters: RedisCounters, redis_server: RedisServer):
    """The limit is of all workers; leaving makes room for any."""
    other = RedisCounters(redis_server.url)
    assert await counters.enter("alice", "a", limit=2)
    assert await other.enter("alice", "b", limit=2)
    assert not await counters.enter("alice", "c", limit=2)
    assert not await other.enter("alice", "c", limit=2)
    await counters.leave("alice", "a")
    assert await other.enter("alice", "c", limit=2)
    assert await counters.enter("alice", "d", limit=None)
    assert [await counters.running("alice"), await counters.running("bob")] == [3, 0]
    await other.close()


async def test_requests_of_a_killed_worker_are_forgotten(counters: RedisCounters, redis_server: RedisServer):
    """What nobody renews ends by itself; what is renewed stays."""
    killed = RedisCounters(redis_server.url, lease_s=2.0)
    alive = RedisCounters(redis_server.url, lease_s=2.0)
    assert await killed.enter("alice", "lost", limit=2)
    assert await alive.enter("alice", "kept", limit=2)
    assert not await counters.enter("alice", "next", limit=2)
    await killed.close()
    async with asyncio.timeout(10):
        while not await counters.enter("alice", "next", limit=2):
            await alive.renew({"alice": ["kept"]}, put_back=False)
            await asyncio.sleep(0.02)
    assert await counters.running("alice") == 2
    await alive.close()


async def test_renewing_puts_back_only_when_it_is_told_to(counters: RedisCounters):
    """A request that has just ended stays ended; after an outage what runs is noted again."""
    assert await counters.enter("alice", "a", limit=None)
    await counters.renew({"alice": ["a", "ended"]}, put_back=False)
    assert await counters.running("alice") == 1
    await counters.renew({"alice": ["a", "b"], "bob": ["c"]}, put_back=True)
    assert [await counters.running("alice"), await counters.running("bob")] == [2, 1]


async def test_a_frozen_redis_is_away_and_its_late_answers_are_not_mixed_up(redis_server: RedisServer):
    """What it answers after it was given up belongs to nobody: the next question gets its own answer."""
    counters = RedisCounters(redis_server.url, timeout_s=0.2)
    assert await counters.add("a", 7, expires_s=60) == 7
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        questions = [counters.read("a"), counters.add("a", 1, expires_s=60), counters.running("alice")]
        found = await asyncio.gather(*questions, return_exceptions=True)
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    assert [type(each) for each in found] == [Away, Away, Away]
    answers = [await counters.read("b"), await counters.running("alice"), await counters.add("c", 3, expires_s=60)]
    assert answers == [0, 0, 3]
    assert await counters.read("a") in {7, 8}
    await counters.close()


async def test_a_redis_that_does_not_answer_is_away(redis_server: RedisServer):
    """Stopped: every method says so, in time, and works again afterwards."""
    counters = RedisCounters(redis_server.url, timeout_s=0.2)
    assert await counters.add("a", 1, expires_s=60) == 1
    redis_server.stop()
    for ask in (
        lambda: counters.add("a", 1, expires_s=60),
        lambda: counters.read("a"),
        lambda: counters.enter("alice", "a", limit=1),
        lambda: counters.leave("alice", "a"),
        lambda: counters.running("alice"),
        lambda: counters.renew({}, put_back=True),
    ):
        with pytest.raises(Away, match="Error"):
            await ask()
    redis_server.start()
    assert await counters.add("b", 1, expires_s=60) == 1
    await counters.close()
