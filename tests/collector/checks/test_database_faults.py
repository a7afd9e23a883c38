"""Check 34: the database is away while 60 finals come each second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contracts.collector import SEGMENTS_STREAM
from bench.collector.collector import Collector
from tests.collector.checks.databases import write_locked
from tests.collector.checks.load import assert_complete, talking
from tests.collector.checks.system import System, system_on, until
from tests.servers import PostgresServer, RedisServer, running_postgres


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A PostgreSQL that a check may stop."""
    with running_postgres(Path(postgres.folder).parent / "stoppable") as server:
        yield server


async def is_told(collector: Collector) -> bool:
    """Does the probe say that the database is away?"""
    answer = await collector.http.get("/health/ready")
    return answer.status_code == 503 and answer.json()["database"] == "unhealthy"


async def unacknowledged(system: System, count: int) -> bool:
    """Have so many entries come that nobody has acknowledged?"""
    (group,) = await system.redis.xinfo_groups(SEGMENTS_STREAM)
    return bool(group["pending"] + (group["lag"] or 0) >= count)


async def test_34_postgresql_is_stopped(redis_server: RedisServer, own_postgres: PostgresServer):
    """Reads answer 503 with Retry-After, nothing is acknowledged, and afterwards all is stored, each word once."""
    async with system_on(redis_server.url, own_postgres.create_database("away")) as system:
        collector = await system.start()
        async with talking(system, seconds=9, rate=60) as generator:
            await asyncio.sleep(1)
            await asyncio.to_thread(own_postgres.stop)
            await until(lambda: is_told(collector))
            meeting = next(iter(generator.oracle.words))
            answer = await collector.http.get(f"/transcripts/by-id/{meeting}")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            await until(lambda: unacknowledged(system, 200))
            await asyncio.to_thread(own_postgres.start)
        await assert_complete(system, collector, generator)
        assert await collector.is_ready()
        assert await collector.metric("collector_db_errors_total") > 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_34_sqlite_is_locked(system: System):
    """Another process holds its lock: reads go on, nothing is acknowledged, and afterwards all is stored once."""
    collector = await system.start()
    async with talking(system, seconds=9, rate=60) as generator:
        await asyncio.sleep(1)
        with write_locked(system.database_url):
            await until(lambda: is_told(collector))
            before = await collector.words(generator.oracle.words)
            assert all(before.values())
            await until(lambda: unacknowledged(system, 200))
            assert await collector.words(generator.oracle.words) == before
    await assert_complete(system, collector, generator)
    assert await collector.is_ready()
