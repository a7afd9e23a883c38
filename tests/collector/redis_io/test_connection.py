from __future__ import annotations

from pathlib import Path

import pytest

from app.collector.redis_io.connection import RedisFailure, away_reason, connect
from tests.servers import RedisServer


async def test_bytes_that_are_no_text_come_back_as_they_were(redis_server: RedisServer):
    """A payload that is not UTF-8 is read without an error, and written again byte by byte."""
    async with connect(redis_server.url) as redis:
        await redis.set("a", b"\xff\xfe ok")
        await redis.set("b", str(await redis.get("a")))
        assert await redis.strlen("b") == 5
        assert await redis.get("b") == "\udcff\udcfe ok"


def test_every_timeout_is_set():
    """A blocking read has its block on top of the time for an answer, and nothing is repeated by the library."""
    options = connect("redis://127.0.0.1:1/0", block_s=1).connection_pool.connection_kwargs
    assert options["socket_timeout"] == 6
    assert options["socket_connect_timeout"] == 3
    assert options["socket_keepalive"] is True
    assert options["health_check_interval"] == 30
    assert options["retry"].get_retries() == 0


async def test_a_reason_says_where_redis_is_missing_and_quotes_no_command(redis_server: RedisServer):
    """The address of a Redis that is away; of a command that Redis refuses only the kind of error."""
    async with connect("redis://127.0.0.1:1/0") as redis:
        with pytest.raises(RedisFailure) as away:
            await redis.ping()
    assert "127.0.0.1:1" in away_reason(away.value)
    async with connect(redis_server.url) as redis:
        with pytest.raises(RedisFailure) as refused:
            await redis.execute_command("NOSUCH", "secret")
    assert away_reason(refused.value) == "ResponseError"


async def test_a_socket_file_is_an_address(tmp_path: Path):
    """As in the gateway; a missing file is a Redis that is away, not a bug."""
    async with connect(f"unix://{tmp_path}/redis.sock") as redis:
        with pytest.raises(RedisFailure):
            await redis.ping()
