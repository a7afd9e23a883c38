from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.collector.clock import SystemClock
from app.collector.jobs import Ages
from app.collector.process import Formats, Process, ProcessOptions
from app.collector.redis_io.connection import Client, connect
from app.collector.redis_io.reader import ReadOptions
from app.collector.services import ApiOptions
from app.contracts.collector import SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM
from tests.collector.fake_store import FakeStore
from tests.collector.plain_entries import add, decode, frames, payload, pending
from tests.servers import RedisServer


@dataclass
class Running:
    """A process within the test's event loop."""

    process: Process
    store: FakeStore
    task: asyncio.Task[None]
    url: str


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Client]:
    """A client of the test's own."""
    async with connect(redis_server.url) as client:
        yield client


def start(url: str, *, consume: bool = True, store: FakeStore | None = None) -> Running:
    """Start one on a free port."""
    store = store or FakeStore()
    options = ProcessOptions(
        redis_url=url,
        read=ReadOptions((SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM), "g", "host-1-abcd", block_ms=20, linger_s=0.0),
        ages=Ages(draft_promote_s=30, meeting_idle_s=900, retention_days=0),
        api=ApiOptions((), False, "", False, SEGMENTS_STREAM, 900),
        stream_retention_s=600,
        lag_alarm_s=60,
        consume=consume,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    process = Process(options, store, Formats(decode, frames), clock=SystemClock())
    task = asyncio.create_task(process.run(listener))
    return Running(process, store, task, f"http://127.0.0.1:{listener.getsockname()[1]}")


async def status(running: Running, path: str) -> int:
    """What a probe gets."""
    async with httpx.AsyncClient() as http:
        return (await http.get(running.url + path)).status_code


async def test_process_stores_serves_and_stops(redis_server: RedisServer, redis: Client):
    """Entries are stored, probes answered; stopped, it acknowledges its batch and leaves its group."""
    running = start(redis_server.url)
    await add(redis, payload("1", "one"))
    async with asyncio.timeout(20):
        while running.store.texts() != ["one"] or await status(running, "/health/ready") != 200:
            await asyncio.sleep(0.01)
    await add(redis, payload("2", "two"))
    running.process.stop()
    await running.task
    assert await pending(redis) == 0
    consumers: Any = await redis.xinfo_consumers(SEGMENTS_STREAM, "g")
    assert consumers == []


async def test_process_without_consumer_serves_only(redis_server: RedisServer, redis: Client):
    """It reads no stream and creates no group; what others leave unstored does not make it unready."""
    running = start(redis_server.url, consume=False)
    await add(redis, payload("1", "one"))
    async with asyncio.timeout(20):
        while running.process.health.redis != "healthy":
            await asyncio.sleep(0.01)
    assert await status(running, "/health/ready") == 200
    running.process.stop()
    await running.task
    assert running.store.texts() == []
    groups: Any = await redis.xinfo_groups(SEGMENTS_STREAM)
    assert groups == []


async def test_process_starts_without_redis(redis_server: RedisServer, redis: Client):
    """Readers are served, and the streams are read once Redis is there."""
    redis_server.stop()
    running = start(redis_server.url)
    async with asyncio.timeout(20):
        while running.process.health.redis != "unhealthy" or await status(running, "/health/ready") != 200:
            await asyncio.sleep(0.01)
        redis_server.start()
        await add(redis, payload("1", "one"))
        while running.store.texts() != ["one"]:
            await asyncio.sleep(0.01)
    running.process.stop()
    await running.task


async def test_process_stops_while_everything_is_away(redis_server: RedisServer, redis: Client):
    """Neither Redis nor the database holds up the end; the batch stays pending for another collector."""
    store = FakeStore()
    running = start(redis_server.url, store=store)
    async with asyncio.timeout(20):
        while running.process.health.redis != "healthy":
            await asyncio.sleep(0.01)
        store.away = True
        await add(redis, payload("1", "one"))
        while not await pending(redis):
            await asyncio.sleep(0.01)
        redis_server.stop()
        running.process.stop()
        await running.task
    redis_server.start()
    assert await pending(redis) == 1
