"""Systems for the checks: one of a check's own, and one that checks of contents share, because starts take seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bench.collector.collector import Collector
from tests.collector.checks.system import System, system_on
from tests.servers import RedisServer, running_redis


@pytest.fixture
async def system(redis_server: RedisServer, database_url: str) -> AsyncIterator[System]:
    """A Redis and an empty database of the check's own; it starts its collectors itself."""
    async with system_on(redis_server.url, database_url) as running:
        yield running


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def running_collector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with a Redis and a database, for the whole run; each check uses meetings of its own."""
    folder: Path = tmp_path_factory.mktemp("shared")
    if request.param == "sqlite":
        database = f"sqlite:///{folder / 'collector.db'}"
    else:
        database = request.getfixturevalue("postgres").create_database("shared_checks")
    with running_redis(folder / "redis") as server:
        collector = Collector({"REDIS_URL": server.url, "DATABASE_URL": database, "LOG_LEVEL": "debug"})
        asyncio.run(_started(collector))
        yield collector
        collector.http = collector.new_client()
        asyncio.run(collector.close())
    assert "this is a bug" not in collector.log


@pytest.fixture
async def collector(running_collector: Collector) -> AsyncIterator[Collector]:
    """The shared collector."""
    running_collector.http = running_collector.new_client()
    yield running_collector
    await running_collector.http.aclose()


@pytest.fixture
async def shared_system(collector: Collector) -> AsyncIterator[System]:
    """Writes to the Redis of the shared collector."""
    system = System(collector.environment["REDIS_URL"], collector.environment["DATABASE_URL"])
    yield system
    await system.close()


async def _started(collector: Collector) -> None:
    await collector.start()
    await collector.http.aclose()
