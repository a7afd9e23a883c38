"""What happens by the clock: drafts become final, silent meetings end, old ones go, streams are trimmed.

Everything that judges age uses stream time, the time up to which the streams were stored: nobody's draft is promoted,
and no meeting ended, because a collector was down or behind.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from app.collector.clock import Clock
from app.collector.errors import DatabaseAway
from app.collector.failures import describe
from app.collector.health import Health
from app.collector.metrics import CollectorMetrics
from app.collector.redis_io.connection import RedisFailure
from app.collector.rows import Applied, Deletion
from app.collector.storage import Storage

log = logging.getLogger(__name__)

LOOP: Final = "jobs"
LOOK_EVERY_S: Final = 1.0
EXPIRE_AT_ONCE: Final = 20  # meetings of one transaction, so that it does not hold up the storing of new text


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do again and again."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ages:
    """When something is old.

    Attributes:
        retention_days: 0: meetings are kept for ever.
    """

    draft_promote_s: float
    meeting_idle_s: float
    retention_days: int


@dataclass(frozen=True, slots=True)
class StoreJobs:
    """The jobs that change the database."""

    store: Storage
    ages: Ages
    stream_time_ms: Callable[[], Awaitable[int]]
    publish: Callable[[Applied], Awaitable[None]]
    purge: Callable[[Deletion], Awaitable[None]]
    metrics: CollectorMetrics

    def all(self) -> tuple[Job, ...]:
        """Each with its interval."""
        return (
            Job("promote drafts", 2.0, self.promote),
            Job("end meetings", 10.0, self.end),
            Job("look for missing finals", 30.0, self.recheck),
            Job("delete old meetings", 3600.0, self.expire),
        )

    async def promote(self) -> None:
        """Make drafts final that got no news."""
        now_ms, age_s = await self.stream_time_ms(), self.ages.draft_promote_s
        await self._until_done(lambda: self.store.promote_drafts(now_ms=now_ms, older_than_s=age_s))

    async def end(self) -> None:
        """Complete silent meetings."""
        now_ms, idle_s = await self.stream_time_ms(), self.ages.meeting_idle_s
        await self._until_done(lambda: self.store.end_meetings(now_ms=now_ms, idle_s=idle_s))

    async def recheck(self) -> None:
        """Count finals that did not come."""
        missing = await self.store.recheck_complete(now_ms=await self.stream_time_ms())
        self.metrics.missing.inc(missing)

    async def expire(self) -> None:
        """Delete meetings that are older than people want to keep them."""
        if not self.ages.retention_days:
            return
        now_ms = await self.stream_time_ms()
        while found := await self.store.expire(
            now_ms=now_ms, retention_days=self.ages.retention_days, limit=EXPIRE_AT_ONCE
        ):
            for deletion in found:
                await self.purge(deletion)
            log.info("old meetings were deleted", extra={"fields": {"meetings": len(found)}})

    async def _until_done(self, step: Callable[[], Awaitable[Applied]]) -> None:
        """Repeat a transaction over some meetings until it changes none."""
        while (result := await step()).changes:
            self.metrics.applied(result)
            self.metrics.promoted.inc(result.counts.get("promoted", 0))
            await self.publish(result)


async def repeat(jobs: Sequence[Job], *, clock: Clock, health: Health) -> None:
    """Run each job at its interval, one at a time, until cancelled; the first time at once."""
    due_s = dict.fromkeys(range(len(jobs)), 0.0)
    while True:
        for index, job in enumerate(jobs):
            if clock.monotonic() >= due_s[index]:
                await run_once(job, health)
                due_s[index] = clock.monotonic() + job.every_s
            health.tick(LOOP)
        await clock.sleep(LOOK_EVERY_S)


async def run_once(job: Job, health: Health) -> None:
    """Run a job; if Redis or the database is away, or there is a bug, it is tried again at its next turn."""
    try:
        await job.run()
    except DatabaseAway as error:
        log.debug("a job waits for the database", extra={"fields": {"job": job.name} | describe(error)})
        health.set_database(ok=False, reason=str(error))
    except RedisFailure as error:
        log.debug("a job waits for Redis", extra={"fields": {"job": job.name, "error": type(error).__name__}})
    except Exception as error:  # noqa: BLE001 - one job must not end the others
        log.error("a job failed; this is a bug", extra={"fields": {"job": job.name} | describe(error)})  # noqa: TRY400 - no message
