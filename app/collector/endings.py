"""End meetings when Vexa says that they are over, instead of waiting until they have been silent for long."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from app.collector.clock import Clock
from app.collector.errors import DatabaseAway
from app.collector.failures import describe
from app.collector.health import Health
from app.collector.redis_io.connection import Client, RedisFailure
from app.collector.redis_io.status import endings
from app.collector.rows import Applied
from app.collector.storage import Storage
from app.ops.backoff import Backoff

log = logging.getLogger(__name__)

LOOP: Final = "endings"


@dataclass(frozen=True, slots=True)
class Endings:
    """Listens until cancelled; a message that is missed does no harm, because silence ends a meeting too."""

    store: Storage
    redis: Client
    stream_time_ms: Callable[[], Awaitable[int]]
    publish: Callable[[Applied], Awaitable[None]]
    health: Health
    clock: Clock

    async def run(self) -> None:
        """Listen, whatever happens to Redis and the database."""
        backoff = Backoff(0.2, 5.0)
        self.health.tick(LOOP)  # without Redis its age counts from here
        while True:
            try:
                async for ended in endings(self.redis):
                    self.health.tick(LOOP)
                    backoff.reset()
                    if ended is not None:
                        now_ms = await self.stream_time_ms()
                        result = await self.store.end_meeting(ended.meeting_id, now_ms=now_ms, status=ended.status)
                        await self.publish(result)
            except (*RedisFailure, DatabaseAway) as error:
                log.debug("not listening for ended meetings", extra={"fields": {"error": type(error).__name__}})
            except Exception as error:  # noqa: BLE001 - the next message may be fine
                log.error("an ending failed; this is a bug", extra={"fields": describe(error)})  # noqa: TRY400 - no message
            await self.clock.sleep(backoff.next_s())
