"""The connection to Redis: one per gateway, with a limit of time on everything. The only file here that names redis.

redis-py connects again by itself; `connections` counts how often, because a Redis that was restarted may be empty.
Its own retries are off: the publisher decides when to try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.live.publish.payloads import LiveFrame, StreamEntry

ANSWER_TIMEOUT_S = 2.0
BATCH_TIMEOUT_S = 6.0  # connecting, sending and all answers of a batch together
DRAFT_EXPIRES_S = 60
MAX_REASON_CHARS = 100


class Away(Exception):
    """Redis does not answer; the message is for the log, without anything that was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Redis answered to a batch.

    Attributes:
        taken: for each entry, whether Redis has it now.
        refusal: why it refused one, for the log; empty if it took all.
        longest: entries in the longest of the streams.
    """

    taken: tuple[bool, ...]
    refusal: str
    longest: int


class Link(Protocol):
    """A connection to Redis, or a test's."""

    @property
    def connections(self) -> int:
        """How often it has connected."""

    async def send(self, entries: Sequence[StreamEntry], frames: Sequence[LiveFrame]) -> Answer:
        """Append entries to their streams and show frames. Raises Away; then some may have arrived."""

    async def close(self) -> None:
        """Close the connection; never raises."""


class RedisLink:
    """A connection to a real Redis."""

    def __init__(self, url: str, *, streams: Sequence[str], timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """`streams` are those whose length is watched."""
        self._streams = tuple(dict.fromkeys(streams))
        self._connections = 0
        tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
        self._client: Redis = Redis.from_url(
            without_path_after_database(url),
            **tcp,
            protocol=2,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            health_check_interval=0,  # the publisher asks when it has nothing to send
            retry=Retry(NoBackoff(), 0),
            max_connections=1,
            redis_connect_func=self._connected,
        )

    @property
    def connections(self) -> int:
        """How often it has connected."""
        return self._connections

    async def send(self, entries: Sequence[StreamEntry], frames: Sequence[LiveFrame]) -> Answer:
        """Append entries to their streams and show frames, in one round trip. Raises Away."""
        pipeline = self._client.pipeline(transaction=False)
        for entry in entries:
            fields: dict[Any, Any] = dict(entry.fields)  # the library declares keys and values invariant
            pipeline.xadd(entry.stream, fields)
        for frame in frames:
            if frame.key is not None:
                pipeline.set(frame.key, frame.value, ex=DRAFT_EXPIRES_S)
            pipeline.publish(frame.channel, frame.message)
        for stream in self._streams:
            pipeline.xlen(stream)
        answers = await self._within_limit(pipeline.execute(raise_on_error=False))
        taken = answers[: len(entries)]
        lengths = [each for each in answers[len(answers) - len(self._streams) :] if isinstance(each, int)]
        refusal = next((_reason(each) for each in taken if isinstance(each, Exception)), "")
        return Answer(tuple(not isinstance(each, Exception) for each in taken), refusal, max(lengths, default=0))

    async def close(self) -> None:
        """Close the connection; never raises."""
        try:
            async with asyncio.timeout(1.0):
                await self._client.aclose()
        except (RedisError, OSError, TimeoutError):
            pass

    async def _connected(self, connection: Any) -> None:
        """Log in and choose the database, as redis-py does, and count it."""
        await connection.on_connect()
        self._connections += 1

    async def _within_limit(self, work: Any) -> list[Any]:
        try:
            async with asyncio.timeout(BATCH_TIMEOUT_S):
                return list(await work)
        except (RedisConnectionError, RedisTimeoutError, TimeoutError, OSError) as lost:
            await self._client.connection_pool.disconnect()
            raise Away(_reason(lost)) from None
        except RedisError as failed:
            raise Away(_reason(failed)) from None


def without_path_after_database(url: str) -> str:
    """`redis://host:6379/0/any/thing` -> `redis://host:6379/0`: Vexa names its stream there."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return url
    database = parts.path.strip("/").partition("/")[0]
    path = f"/{database}" if database.isdigit() else ""
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _reason(error: Exception) -> str:
    """What went wrong, without the arguments of a command: Redis repeats those after a comma."""
    if isinstance(error, OutOfMemoryError):
        return "Redis is full (maxmemory)"
    if isinstance(error, ResponseError):
        return str(error).partition(",")[0][:MAX_REASON_CHARS]
    return f"{type(error).__name__}: {error}"[:MAX_REASON_CHARS]
