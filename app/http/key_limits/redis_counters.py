"""Counts that all workers share, in Redis. The only file of the worker that names redis.

A request that runs is a lease: an entry of a sorted set whose score is the time (of Redis' clock) at which it ends
by itself. Its worker renews it, so the requests of a killed worker are forgotten after LEASE_S.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

T = TypeVar("T")

PREFIX: Final = "stt:limits"
LEASE_S: Final = 15.0
ANSWER_TIMEOUT_S: Final = 1.0
MAX_CONNECTIONS: Final = 20
MAX_REASON_CHARS: Final = 100

_NOW_MS: Final = "local time = redis.call('TIME') local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
# KEYS: set. ARGV: request, limit (-1: none), lease in ms.
_ENTER: Final = (
    _NOW_MS
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local limit = tonumber(ARGV[2])
if limit >= 0 and redis.call('ZCARD', KEYS[1]) >= limit then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)
# KEYS: set. ARGV: lease in ms, 'XX' to renew only what is there or 'NX' to put back what is not, requests.
_RENEW: Final = (
    _NOW_MS
    + """
for i = 3, #ARGV do
    if ARGV[2] == 'NX' then redis.call('ZADD', KEYS[1], 'NX', now, ARGV[i]) end
    redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""
)
_RUNNING: Final = _NOW_MS + "return redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')"


class Away(Exception):
    """Redis does not answer as it should; the message is for the log."""


class RedisCounters:
    """Counts in one Redis; every method raises Away if it does not answer in time."""

    def __init__(self, url: str, *, lease_s: float = LEASE_S, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._lease_ms = round(lease_s * 1000)
        self._timeout_s = timeout_s
        self._pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=timeout_s,
            protocol=2,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
        # the address is only read if there is no pool
        self._storage = RedisStorage(
            "async+redis://", implementation="redispy", key_prefix=PREFIX, connection_pool=cast("Any", self._pool)
        )
        self._client: Redis = Redis(connection_pool=self._pool)
        self._enter = self._client.register_script(_ENTER)
        self._renew = self._client.register_script(_RENEW)
        self._running = self._client.register_script(_RUNNING)

    async def add(self, counter: str, amount: int, *, expires_s: int) -> int:
        """See `Counters`."""
        return await self._in_time(self._storage.incr(counter, expires_s, amount))

    async def read(self, counter: str) -> int:
        """See `Counters`."""
        return await self._in_time(self._storage.get(counter))

    async def enter(self, name: str, request: str, *, limit: int | None) -> bool:
        """See `Counters`."""
        arguments: list[str | int] = [request, -1 if limit is None else limit, self._lease_ms]
        return bool(await self._in_time(self._enter([_key(name)], arguments)))

    async def leave(self, name: str, request: str) -> None:
        """See `Counters`."""
        await self._in_time(self._client.zrem(_key(name), request))

    async def running(self, name: str) -> int:
        """See `Counters`."""
        return int(await self._in_time(self._running([_key(name)])))

    async def renew(self, running: Mapping[str, Sequence[str]], *, put_back: bool) -> None:
        """Renew the leases of the requests that run here; also asks whether Redis is there.

        Args:
            running: the requests by the name of their key.
            put_back: also those that Redis does not know, because it was away or has lost its data. Otherwise they
                are left out: such a request has just ended.
        """
        await self._in_time(self._client.ping())
        for name, requests in running.items():
            await self._in_time(
                self._renew([_key(name)], [self._lease_ms, "NX" if put_back else "XX", *requests]),
            )

    async def close(self) -> None:
        """Close the connections; never raises."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._pool.disconnect()
        except (RedisError, OSError, TimeoutError):
            pass

    async def _in_time(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await work
        except (RedisError, OSError, TimeoutError) as error:
            raise Away(_reason(error)) from None


def _key(name: str) -> str:
    return f"{PREFIX}:running:{name}"


def _reason(error: Exception) -> str:
    text = str(error).partition(",")[0] if isinstance(error, ResponseError) else f"{type(error).__name__}: {error}"
    return text[:MAX_REASON_CHARS]
