"""Look at Redis and the database every few seconds, so that probes and metrics need not."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from app.collector.clock import Clock
from app.collector.errors import DatabaseAway
from app.collector.failures import describe
from app.collector.health import Health
from app.collector.metrics import CollectorMetrics
from app.collector.redis_io.connection import Client, RedisFailure, away_reason
from app.collector.redis_io.groups import GroupState, group_states, oldest_waiting, server_ms, stream_time_ms
from app.collector.storage import Storage

log = logging.getLogger(__name__)

LOOP: Final = "watch"
EVERY_S: Final = 5.0
GROUP_IS_LATE_S: Final = 900.0  # longer than STREAM_RETENTION_S is by default


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked at.

    Attributes:
        streams: empty: this process does not store, and how far others are behind is not its state.
    """

    store: Storage
    redis: Client
    streams: tuple[str, ...]
    group: str
    health: Health
    metrics: CollectorMetrics
    clock: Clock

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                log.error("the watch failed; this is a bug", extra={"fields": describe(error)})  # noqa: TRY400 - no message
            self.health.tick(LOOP)
            await self.clock.sleep(EVERY_S)

    async def look(self) -> None:
        """Ask both once."""
        try:
            await self.store.ping()
        except DatabaseAway as error:
            self.health.set_database(ok=False, reason=str(error))
            self.metrics.database_errors.inc()
        else:
            self.health.set_database(ok=True)
        try:
            await self._look_at_streams()
        except RedisFailure as error:
            self.health.set_redis(ok=False, reason=away_reason(error))
            self.health.lag_s = None
        else:
            self.health.set_redis(ok=True)

    async def _look_at_streams(self) -> None:
        now_ms = await server_ms(self.redis)
        if not self.streams:
            return
        self.health.lag_s = (now_ms - min(now_ms, await stream_time_ms(self.redis, self.streams, self.group))) / 1000
        late = []
        for stream in self.streams:
            self.metrics.stream_length.labels(stream).set(await self.redis.xlen(stream))
            for state in await group_states(self.redis, stream):
                if state.name == self.group:
                    self.metrics.pending.labels(stream).set(state.pending)
                elif await self._is_late(stream, state, now_ms):
                    late.append(
                        f"group {state.name} has not acknowledged entries of {stream} for over {GROUP_IS_LATE_S:g} s, "
                        "so they are not removed; if nobody uses it, delete it with XGROUP DESTROY"
                    )
                if state.lag is not None:
                    self.metrics.lag_entries.labels(stream, state.name).set(state.lag)
                else:
                    self.metrics.lag_entries.remove(stream, state.name)
        for warning in late:
            if warning not in self.health.warnings:
                log.warning(warning)
        self.health.warnings = tuple(late)

    async def _is_late(self, stream: str, state: GroupState, now_ms: int) -> bool:
        """Whether another program's group keeps entries from being removed."""
        oldest = await oldest_waiting(self.redis, stream, state)
        return oldest is not None and now_ms - oldest.ms > GROUP_IS_LATE_S * 1000
