from __future__ import annotations

from pathlib import Path

from app.collector.redis_io.checks import warnings
from app.collector.redis_io.connection import Client, connect
from app.collector.redis_io.groups import create_groups
from tests.servers import running_redis


async def test_nothing_is_wrong(redis: Client):
    """A durable Redis and consumers with our names."""
    await create_groups(redis, ["s"], "g")
    await redis.xgroup_createconsumer("s", "g", "host-7-a0f3")
    assert await warnings(redis, ("s",), "g") == []


async def test_what_may_lose_text_is_told(tmp_path: Path):
    """No append-only file, eviction, and a consumer of another program."""
    with running_redis(tmp_path / "redis", "--appendonly", "no", "--maxmemory-policy", "allkeys-lru") as server:
        async with connect(server.url) as redis:
            await create_groups(redis, ["s"], "g")
            await redis.xgroup_createconsumer("s", "g", "collector-main")
            found = await warnings(redis, ("s",), "g")
    assert [message.partition(" ")[0] for message in found] == ["Redis", "Redis", "group"]
