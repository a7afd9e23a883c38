from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest

from app.collector.clock import SystemClock
from app.collector.live.hub import Hub
from app.collector.redis_io.connection import Client, connect
from tests.collector.fakes import NOWHERE
from tests.collector.live.push import until
from tests.servers import RedisServer


class Heard:
    """A listener and the hub's news."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.connections = 0

    def message(self, channel: str, payload: str) -> None:
        """A message of a channel."""
        self.messages.append(f"{channel}={payload}")

    def connected(self) -> None:
        """All channels are subscribed."""
        self.connections += 1


@contextlib.asynccontextmanager
async def running(url: str, heard: Heard) -> AsyncIterator[tuple[Hub, Client]]:
    """A hub and a client to publish with."""
    async with connect(url) as redis:
        hub = Hub(redis, SystemClock(), on_connected=heard.connected)
        task = asyncio.create_task(hub.run())
        try:
            yield hub, redis
        finally:
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=5)
            assert done, "the hub does not end when it is cancelled"


async def test_what_is_published_after_follow_is_heard(redis_server: RedisServer):
    """Once follow has returned, no message is missed; listeners share a subscription until the last one leaves."""
    first, second = Heard(), Heard()
    async with running(redis_server.url, first) as (hub, redis):
        await hub.follow(["a"], first.message)
        await redis.publish("a", "1")
        await until(lambda: first.messages == ["a=1"])
        await hub.follow(["a", "b"], second.message)
        assert dict(await redis.pubsub_numsub("a", "b")) == {"a": 1, "b": 1}
        await redis.publish("b", "2")
        await until(lambda: second.messages == ["b=2"])
        await hub.leave(["a"], first.message)
        assert await redis.publish("a", "3") == 1
        await until(lambda: second.messages == ["b=2", "a=3"])
        await hub.leave(["a", "b"], second.message)
        while await redis.publish("a", "4"):
            await asyncio.sleep(0.01)
    assert first.messages == ["a=1"]


async def test_channels_are_subscribed_again_after_redis_was_away(redis_server: RedisServer):
    """Redis restarts: the hub says that messages may have been lost before it passes new ones on."""
    heard = Heard()
    async with running(redis_server.url, heard) as (hub, _):
        await hub.follow(["a", "b"], heard.message)
        assert heard.connections == 1
        redis_server.stop(signal.SIGKILL)
        await until(lambda: not hub.connected)
        await asyncio.wait_for(hub.follow(["c"], heard.message), 5)  # does not wait for Redis
        redis_server.start()
        await until(lambda: heard.connections == 2)
        async with connect(redis_server.url) as fresh:
            assert await fresh.publish("c", "1") == 1
            assert await fresh.publish("a", "2") == 1
        await until(lambda: heard.messages == ["c=1", "a=2"])


async def test_a_redis_that_was_never_there_is_away():
    """Follow returns, and the hub can be ended."""
    heard = Heard()
    async with running(NOWHERE, heard) as (hub, _):
        await asyncio.wait_for(hub.follow(["a"], heard.message), 10)
        assert not hub.connected
    assert heard.connections == 0


async def test_a_redis_that_hangs_is_noticed(redis_server: RedisServer):
    """A stopped process accepts commands and answers none; after seconds of silence it counts as away."""
    heard = Heard()
    async with running(redis_server.url, heard) as (hub, _):
        await hub.follow(["a"], heard.message)
        os.kill(redis_server.pid, signal.SIGSTOP)
        try:
            await until(lambda: not hub.connected, within_s=40)
        finally:
            os.kill(redis_server.pid, signal.SIGCONT)
        await until(lambda: heard.connections == 2)


async def test_a_listener_that_fails_ends_nothing(redis_server: RedisServer, caplog: pytest.LogCaptureFixture):
    """Other listeners hear the same message, everyone hears the next one, and the log does not quote it."""
    heard = Heard()

    def fails(_: str, payload: str) -> None:
        raise KeyError(payload)

    async with running(redis_server.url, heard) as (hub, redis):
        await hub.follow(["a"], fails)
        await hub.follow(["a"], heard.message)
        await redis.publish("a", "sesame")
        await redis.publish("a", "2")
        await until(lambda: heard.messages == ["a=sesame", "a=2"])
    assert "cannot be read" in caplog.text
    assert "sesame" not in caplog.text + repr([vars(each) for each in caplog.records])
