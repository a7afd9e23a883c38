"""What the HTTP application is built from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from app.collector.clock import Clock
from app.collector.health import Health
from app.collector.metrics import CollectorMetrics
from app.collector.redis_io.connection import Client
from app.collector.rows import Applied, Deletion
from app.collector.storage import Storage
from app.ops.tracing import NO_TRACER, Tracer


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """Settings of the read API.

    Attributes:
        keys: static keys of owner 1; each may read, write and delete.
        needs_key: false on a loopback address without keys: then everyone is owner 1.
        internal_secret: value of X-Internal-Secret for internal routes; empty: they do not exist.
        trust_x_user_id: together with the internal secret, X-User-Id names the owner.
        stream: name of the segments stream, as `/health` shows it.
        meeting_idle_s: a meeting that was silent for so long is over.
    """

    keys: tuple[str, ...]
    needs_key: bool
    internal_secret: str
    trust_x_user_id: bool
    stream: str
    meeting_idle_s: float


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the process that the API uses.

    Attributes:
        redis: for subscriptions (`redis.pubsub()` opens a connection of its own) and single commands; it may be
            away at any time: see RedisFailure beside its type.
        publish: tell live readers what a committed transaction changed. Never raises.
        purge: remove the copies of a deleted meeting from Redis and the database's log. Never raises: what cannot
            be done now is done later.
        stopping: set when the process begins to stop, so that live streams end.
        tracer: records the requests.
    """

    store: Storage
    health: Health
    metrics: CollectorMetrics
    redis: Client
    options: ApiOptions
    publish: Callable[[Applied], Awaitable[None]]
    purge: Callable[[Deletion], Awaitable[None]]
    clock: Clock
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tracer: Tracer = NO_TRACER
