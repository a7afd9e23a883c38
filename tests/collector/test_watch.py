from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.collector.health import Health
from app.collector.metrics import CollectorMetrics
from app.collector.redis_io.connection import connect
from app.collector.redis_io.groups import create_groups, server_ms
from app.collector.watch import Watch
from tests.collector.clock import FakeClock
from tests.collector.fake_store import FakeStore
from tests.servers import RedisServer


@pytest.fixture
async def watch(redis_server: RedisServer) -> AsyncIterator[Watch]:
    """A watch over one stream."""
    clock = FakeClock()
    health = Health(clock.monotonic, lag_alarm_s=60)
    async with connect(redis_server.url) as redis:
        await create_groups(redis, ["s"], "g")
        yield Watch(FakeStore(), redis, ("s",), "g", health, CollectorMetrics(health), clock)


async def test_lag_is_the_age_of_the_oldest_unstored_entry(watch: Watch):
    """By Redis' clock; nothing unstored is no lag."""
    await watch.look()
    assert watch.health.lag_s == 0
    await watch.redis.xadd("s", {"a": 1}, id=f"{await server_ms(watch.redis) - 90_000}-0")
    await watch.look()
    assert 90 <= (watch.health.lag_s or 0) < 120
    assert watch.health.obstacles()[0].startswith("lag: ")


async def test_gauges_follow_the_streams(watch: Watch):
    """Length, pending and lag in entries; a lag that Redis does not know is absent, not 0."""
    ids = [await watch.redis.xadd("s", {"a": n}) for n in range(5)]
    await watch.redis.xreadgroup("g", "c", {"s": ">"}, count=2)
    await watch.look()
    text = watch.metrics.render()[0].decode()
    assert 'collector_stream_length{stream="s"} 5.0' in text
    assert 'collector_pending{stream="s"} 2.0' in text
    assert 'collector_lag_entries{group="g",stream="s"} 3.0' in text
    await watch.redis.xdel("s", str(ids[3]))
    await watch.look()
    assert "collector_lag_entries{" not in watch.metrics.render()[0].decode()
    await watch.look()


async def test_what_is_away_is_noted(watch: Watch, redis_server: RedisServer):
    """Redis and the database, each by itself; the lag is then unknown."""
    store = watch.store
    assert isinstance(store, FakeStore)
    await watch.look()
    assert (watch.health.redis, watch.health.database) == ("healthy", "healthy")
    redis_server.stop()
    store.away = True
    await watch.look()
    assert (watch.health.redis, watch.health.database) == ("unhealthy", "unhealthy")
    assert watch.health.lag_s is None


async def test_a_group_that_does_not_read_is_warned_of(watch: Watch, caplog: pytest.LogCaptureFixture):
    """Once in the log, and in the health's details while it lasts; the process stays ready."""
    old = await server_ms(watch.redis) - 1_000_000
    await watch.redis.xadd("s", {"a": 1}, id=f"{old}-0")
    await create_groups(watch.redis, ["s"], "forgotten")
    await watch.redis.xreadgroup("g", "c", {"s": ">"})
    await watch.redis.xack("s", "g", f"{old}-0")
    for _ in range(2):
        await watch.look()
    (warning,) = watch.health.warnings
    assert warning.startswith("group forgotten has not acknowledged entries of s ")
    assert [record.getMessage() for record in caplog.records] == [warning]
    assert watch.health.obstacles() == ()
    await watch.redis.xgroup_destroy("s", "forgotten")
    await watch.look()
    assert watch.health.warnings == ()
