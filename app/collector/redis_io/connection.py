"""Connections to Redis with every timeout and retry set here, because redis-py changes its defaults.

Bytes that are not UTF-8 become lone surrogates and are written back as they were, so an entry that is not text
can be read, refused and kept like any other.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import TimeoutError as NoAnswer

Client: TypeAlias = Redis
Subscriber: TypeAlias = PubSub
RedisFailure: Final = (RedisError, OSError)  # what any call may raise: away, refused, out of memory
RedisFull: Final = OutOfMemoryError
RedisRefused: Final = ResponseError

CONNECT_TIMEOUT_S: Final = 3.0
ANSWER_TIMEOUT_S: Final = 5.0
HEALTH_CHECK_S: Final = 30


def away_reason(error: Exception) -> str:
    """Why Redis does not answer, for the log; of a refused command only the type, because Redis may quote it."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, (NotConnected, NoAnswer, OSError)) else name


def connect(url: str, *, block_s: float = 0.0) -> Client:
    """A client that connects at its first command.

    Args:
        url: such as `redis://:password@host:6379/0`.
        block_s: the longest blocking read of this client; an answer may take that much longer.
    """
    tcp: dict[str, Any] = {} if url.startswith("unix:") else {"socket_keepalive": True}
    # Nothing is repeated here: a repeated blocking read would leave entries with nobody, and the loops repeat the rest.
    return Redis.from_url(
        url,
        protocol=2,  # the two protocols have different reply shapes
        decode_responses=True,
        encoding_errors="surrogateescape",
        socket_timeout=ANSWER_TIMEOUT_S + block_s,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=HEALTH_CHECK_S,
        retry=Retry(NoBackoff(), 0),
        **tcp,
    )
