"""Checks 30 and 32: Redis is restarted, or hangs, and the collector goes on by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from bench.collector.words import Talk
from tests.collector.checks.load import assert_complete, talking
from tests.collector.checks.system import System, new_meeting, says, until
from tests.servers import RedisServer


async def test_30_redis_is_restarted(system: System, redis_server: RedisServer):
    """With its file of appended commands nothing is lost; the collector reads again without being restarted."""
    collector = await system.start()
    pid = collector.pid
    async with talking(system, seconds=6) as generator:
        for number in (signal.SIGTERM, signal.SIGKILL):
            await asyncio.sleep(1)
            await asyncio.to_thread(redis_server.stop, number)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(redis_server.start)
            after = Talk(new_meeting(), int(time.time() * 1000))
            await system.add(after.start(), after.final(0))
            await until(lambda: says(collector, after.meeting, [after.word(0)]), within_s=6)  # noqa: B023 - awaited here
    assert generator.oracle.repeated > 0, "nobody wrote while Redis was away"
    await assert_complete(system, collector, generator)
    assert collector.pid == pid
    assert collector.is_running


async def test_32_redis_hangs(system: System, redis_server: RedisServer):
    """The probe says so, transcripts can be read, no loop ends, and storing goes on afterwards by itself."""
    collector = await system.start()
    talk = Talk(new_meeting(), int(time.time() * 1000))
    await system.add(talk.start(), talk.final(0))
    await until(lambda: says(collector, talk.meeting, [talk.word(0)]))
    os.kill(redis_server.pid, signal.SIGSTOP)

    async def says_so() -> bool:
        body = (await collector.http.get("/health/ready")).json()
        return bool(body["redis"] == "unhealthy")

    try:
        await until(says_so, within_s=10)
        assert await collector.texts(talk.meeting) == [talk.word(0)]
        assert (await collector.http.get("/health/live")).status_code == 200
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    await system.add(talk.final(1))
    await until(lambda: says(collector, talk.meeting, [talk.word(0), talk.word(1)]), within_s=15)

    async def recovered() -> bool:
        return bool((await collector.http.get("/health")).json()["redis"] == "healthy")

    await until(recovered)
    assert await collector.is_ready()
