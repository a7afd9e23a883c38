"""The database is away for a minute: how long until the collector has caught up?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bench.collector import streams
from bench.collector.collector import running
from bench.collector.generator import Generator, client
from bench.collector.places import Places
from bench.collector.words import Talk, differences
from tests.collector.checks.databases import write_locked

RATE = 60.0
MEETINGS = 100
BEFORE_S = 5.0
AFTER_S = 20.0


async def measure(places: Places, *, seconds: float = 60.0) -> dict[str, Any]:
    """PostgreSQL is stopped, SQLite locked by another process, at 60 finals/s; the clock runs from its return."""
    talks = [Talk(meeting, int(time.time() * 1000)) for meeting in range(1, MEETINGS + 1)]
    generator = Generator(places.redis.url, talks)
    redis = client(places.redis.url)
    async with running(places.environment()) as collector:
        await generator.start()
        talking = asyncio.create_task(generator.talk(rate=RATE, seconds=BEFORE_S + seconds + AFTER_S))
        await asyncio.sleep(BEFORE_S)
        async with away(places):
            await asyncio.sleep(seconds)
        caught_up_s = await streams.settled(redis, within_s=AFTER_S)
        await talking
        await generator.end()
        await streams.settled(redis)
        errors = differences(generator.oracle.words, await collector.words(generator.oracle.words))
    await generator.close()
    await redis.aclose()
    return {"away_s": seconds, "caught_up_s": round(caught_up_s, 1), "finals": generator.oracle.count, "errors": errors}


@asynccontextmanager
async def away(places: Places) -> AsyncIterator[None]:
    """The database does not take anything while the block runs."""
    if places.postgres is None:
        with write_locked(places.database_url):
            yield
        return
    await asyncio.to_thread(places.postgres.stop)
    yield
    await asyncio.to_thread(places.postgres.start)
