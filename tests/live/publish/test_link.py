"""The connection to a real Redis."""

import os
import signal

import pytest
from redis.asyncio import Redis

from app.live.publish.link import Away, RedisLink, without_path_after_database
from app.live.publish.payloads import LiveFrame
from tests.live.publish.fakes import entry
from tests.servers import running_redis

STREAM = "transcription_segments"


@pytest.fixture
async def link(redis_server):
    """A connection with short limits."""
    connection = RedisLink(redis_server.url, streams=(STREAM, "speakers"), timeout_s=0.3)
    yield connection
    await connection.close()


@pytest.fixture
async def redis(redis_server):
    """A client that looks at what is there."""
    async with Redis.from_url(redis_server.url, decode_responses=True, protocol=2) as client:
        yield client


async def test_entries_and_frames(link, redis):
    """Entries are appended in order; a frame is published, and its value is there for a minute."""
    subscription = redis.pubsub()
    await subscription.subscribe("channel")
    await subscription.get_message(timeout=1)
    answer = await link.send([entry(0), entry(1)], [LiveFrame("channel", "news", "key", "value")])
    assert (answer.taken, answer.refusal, answer.longest) == ((True, True), "", 2)
    assert [fields for _, fields in await redis.xrange(STREAM)] == [entry(0).fields, entry(1).fields]
    assert await redis.get("key") == "value"
    assert 0 < await redis.ttl("key") <= 60
    message = await subscription.get_message(timeout=1)
    assert message is not None
    assert message["data"] == "news"
    await subscription.aclose()
    assert link.connections == 1


async def test_a_full_redis_refuses(link, redis):
    """The reason has no contents of the entry."""
    await redis.config_set("maxmemory", "1kb")
    answer = await link.send([entry(0)], [])
    assert (answer.taken, answer.refusal) == ((False,), "Redis is full (maxmemory)")


async def test_a_key_that_is_no_stream(link, redis):
    """The reason is Redis' own."""
    await redis.set(STREAM, "x")
    answer = await link.send([entry(0)], [])
    assert answer.taken == (False,)
    assert answer.refusal.startswith("WRONGTYPE") or "wrong kind" in answer.refusal


async def test_a_restart_is_counted(link, redis_server):
    """redis-py connects again by itself."""
    await link.send([entry(0)], [])
    redis_server.stop()
    with pytest.raises(Away):
        await link.send([entry(1)], [])
    redis_server.empty()
    redis_server.start()
    assert (await link.send([], [])).longest == 0
    assert link.connections == 2


async def test_a_quick_restart_is_counted(link, redis_server):
    """Also if nothing was sent while it was gone."""
    await link.send([entry(0)], [])
    redis_server.stop()
    redis_server.start()
    try:
        await link.send([entry(1)], [])
    except Away:
        await link.send([entry(1)], [])
    assert link.connections == 2


async def test_a_hanging_redis_is_away(link, redis_server):
    """Each try takes no longer than the limit, and works again afterwards."""
    await link.send([], [])
    os.kill(redis_server.pid, signal.SIGSTOP)
    for _ in range(2):
        with pytest.raises(Away):
            await link.send([entry(0)], [])
    os.kill(redis_server.pid, signal.SIGCONT)
    answer = await link.send([entry(1)], [])
    assert answer.taken == (True,)


async def test_unix_sockets(tmp_path):
    """Their connections have fewer options than TCP's."""
    address = tmp_path / "redis.sock"
    with running_redis(tmp_path / "redis", "--unixsocket", str(address)):
        connection = RedisLink(f"unix://{address}?db=1", streams=(STREAM,))
        assert (await connection.send([entry(0)], [])).taken == (True,)
        await connection.close()


async def test_a_wrong_password_is_not_repeated(redis_server):
    """Neither it nor the entry is in the message."""
    connection = RedisLink(redis_server.url.replace("//", "//user:hunter2@"), streams=(STREAM,))
    with pytest.raises(Away) as away:
        await connection.send([entry(0)], [])
    assert "hunter2" not in str(away.value)
    await connection.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:6379/0/transcription_segments", "redis://h:6379/0"),
        ("redis://h:6379/2", "redis://h:6379/2"),
        ("redis://h", "redis://h"),
        ("redis://h/transcription_segments", "redis://h"),
        ("rediss://u:p%2F@h:1/3/x?ssl_cert_reqs=none", "rediss://u:p%2F@h:1/3?ssl_cert_reqs=none"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
    ],
)
def test_path_after_the_database(url, expected):
    """Vexa's REDIS_STREAM_URL names the stream there; it is ignored."""
    assert without_path_after_database(url) == expected
