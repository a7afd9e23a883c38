"""A whole system for black-box checks: a real Redis, a real database, and collectors as processes."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis.asyncio import Redis

from app.contracts.collector import CONSUMER_GROUP, PAYLOAD_FIELD, SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM
from bench.collector import streams
from bench.collector.collector import Collector
from bench.collector.generator import client

T = TypeVar("T")
_NUMBERS = itertools.count(1000)


def new_meeting() -> int:
    """The number of a meeting that no other check uses."""
    return next(_NUMBERS)


async def until(question: Callable[[], Awaitable[T]], *, within_s: float = 30.0) -> T:
    """Ask another process until the answer is true, and return it."""
    give_up = time.monotonic() + within_s
    while not (answer := await question()):
        assert time.monotonic() < give_up, f"still {answer!r} after {within_s:g} s"
        await asyncio.sleep(0.03)
    return answer


async def says(collector: Collector, meeting: int, texts: list[str]) -> bool:
    """Does REST show exactly these finals?"""
    return await collector.texts(meeting) == texts


class System:
    """A Redis, a database, and the collectors that were started on them."""

    def __init__(self, redis_url: str, database_url: str) -> None:
        self.redis_url = redis_url
        self.database_url = database_url
        self.redis: Redis = client(redis_url)
        self.collectors: list[Collector] = []

    @property
    def is_sqlite(self) -> bool:
        """One process at a time may write."""
        return self.database_url.startswith("sqlite")

    def new_collector(self, launcher: tuple[str, ...] = ("-m", "app"), /, **environment: str) -> Collector:
        """A collector with these settings, not started."""
        places = {"REDIS_URL": self.redis_url, "DATABASE_URL": self.database_url}
        collector = Collector({**places, "LOG_LEVEL": "debug", **environment}, launcher=launcher)
        self.collectors.append(collector)
        return collector

    async def start(self, **environment: str) -> Collector:
        """A collector that is ready."""
        collector = self.new_collector(("-m", "app"), **environment)
        await collector.start()
        return collector

    async def add(self, *payloads: Mapping[str, Any] | str | bytes, at_ms: int | None = None) -> list[str]:
        """Write entries to the segments stream; return their ids.

        Args:
            payloads: objects, or what stands in the field as it is.
            at_ms: Unix ms of their ids; now if it is left out.
        """
        entry_id = "*" if at_ms is None else f"{at_ms}-*"
        async with self.redis.pipeline(transaction=True) as pipe:  # so that a collector can read them in one batch
            for payload in payloads:
                text = payload if isinstance(payload, str | bytes) else json.dumps(payload)
                pipe.xadd(SEGMENTS_STREAM, {PAYLOAD_FIELD: text}, id=entry_id)
            return [str(id_) for id_ in await pipe.execute()]

    async def withhold(self, *payloads: Mapping[str, Any]) -> None:
        """Write entries that are delivered to a consumer which never stores them; no collector may run yet."""
        for stream in streams.STREAMS:
            await self.redis.xgroup_create(stream, CONSUMER_GROUP, id="0", mkstream=True)
        await self.add(*payloads)
        await self.redis.xreadgroup(CONSUMER_GROUP, "gone-1-0000", {SEGMENTS_STREAM: ">"})

    async def deliver_withheld(self) -> None:
        """Let a collector take over what was delivered and not acknowledged: a restarted one does so at once."""
        await streams.age_deliveries(self.redis)
        for collector in self.collectors:
            await collector.kill()
            await collector.start()

    async def speaks(self, kind: str, name: str, t_ms: int, **identity: Any) -> None:
        """Write an event to the speaker stream; `identity` is uid, platform and meeting_id."""
        fields = {
            "event_type": f"SPEAKER_{kind}",
            "participant_name": name,
            "relative_client_timestamp_ms": str(t_ms),
            **{name: str(value) for name, value in identity.items()},
        }
        await self.redis.xadd(SPEAKER_EVENTS_STREAM, fields)  # type: ignore[arg-type]  # redis-py's dict is invariant

    async def settled(self, *, within_s: float = 30.0) -> None:
        """Wait until everything in the streams is acknowledged."""
        await streams.settled(self.redis, within_s=within_s)

    async def entries(self, stream: str = SEGMENTS_STREAM) -> list[dict[str, str]]:
        """The fields of everything that is in a stream."""
        answer: Any = await self.redis.xrange(stream)
        return [fields for _, fields in answer]

    async def dead(self) -> list[dict[str, str]]:
        """The dead letters."""
        return await self.entries(f"{SEGMENTS_STREAM}:dead")

    def logs(self) -> str:
        """What all collectors have logged."""
        return "".join(collector.log for collector in self.collectors)

    async def close(self) -> None:
        """End the collectors."""
        for collector in self.collectors:
            await collector.close()
        await self.redis.aclose()


@asynccontextmanager
async def system_on(redis_url: str, database_url: str) -> AsyncIterator[System]:
    """A system whose collectors end with the block, and have logged no exception and no bug."""
    system = System(redis_url, database_url)
    try:
        yield system
    finally:
        await system.close()
        logged = system.logs()
        print(logged[-8000:])  # noqa: T201 - shown when the check fails
    assert "Traceback" not in logged
    assert "this is a bug" not in logged
