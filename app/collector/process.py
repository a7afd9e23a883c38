"""The collector's parts wired together, and run until the process is told to stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.collector.api.app import create_app
from app.collector.clock import Clock
from app.collector.endings import Endings
from app.collector.facts import Entry
from app.collector.health import Health
from app.collector.ingest import Ingest, IngestParts
from app.collector.jobs import Ages, Job, StoreJobs, repeat
from app.collector.metrics import CollectorMetrics
from app.collector.redis_io.checks import warnings
from app.collector.redis_io.connection import RedisFailure, connect
from app.collector.redis_io.entries import RawEntry
from app.collector.redis_io.groups import stream_time_ms
from app.collector.redis_io.publish import Publisher
from app.collector.redis_io.purge import Purger
from app.collector.redis_io.reader import ReadOptions, StreamReader
from app.collector.redis_io.trim import leave, remove_idle_consumers, trim
from app.collector.rows import Change
from app.collector.services import ApiOptions, Services
from app.collector.serving import build_server
from app.collector.storage import Storage
from app.collector.waiting import cancel_all
from app.collector.watch import Watch
from app.ops.backoff import Backoff
from app.ops.loop_lag import watch_loop_lag
from app.ops.tracing import NO_TRACER, Tracer

log = logging.getLogger(__name__)

STOP_WITHIN_S: Final = 4.0  # the batch under way, then the rest is cancelled
LEAVE_WITHIN_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """Settings of the process.

    Attributes:
        consume: read the streams; without it the process serves readers only.
        max_deliveries: an entry that cannot be stored goes to the dead letters after so many tries.
        revision: the commit that the image was built from; "" if unknown.
    """

    redis_url: str
    read: ReadOptions
    ages: Ages
    api: ApiOptions
    stream_retention_s: float
    lag_alarm_s: float
    consume: bool = True
    max_deliveries: int = 5
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Formats:
    """The pure parts: what entries mean, and what live readers see.

    Attributes:
        decode: reads an entry; raises ValueError with a reason if nothing of it can be used.
        frames: the live frames of a change.
    """

    decode: Callable[[RawEntry], Entry]
    frames: Callable[[Change], Sequence[Mapping[str, Any]]]


class Process:
    """One collector process."""

    def __init__(
        self,
        options: ProcessOptions,
        store: Storage,
        formats: Formats,
        *,
        clock: Clock,
        after_commit: Callable[[], None] = lambda: None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """Connect nothing yet.

        Args:
            options: settings.
            store: opened; closed by whoever opened it.
            formats: see there.
            clock: of all loops.
            after_commit: called between a commit and its acknowledgement; tests end the process there.
            tracer: records the requests of readers.
        """
        self._options = options
        self._store = store
        self._tracer = tracer
        self._clock = clock
        self._stop = asyncio.Event()
        self._blocking = connect(options.redis_url, block_s=options.read.block_ms / 1000)
        self._redis = connect(options.redis_url)
        self._reader = StreamReader(self._blocking, self._redis, options.read)
        self._purger = Purger(self._redis, store, options.read.streams)
        self._publisher = Publisher(self._redis, formats.frames)
        self.health = Health(clock.monotonic, lag_alarm_s=options.lag_alarm_s)
        self._metrics = CollectorMetrics(self.health, revision=options.revision)
        parts = IngestParts(
            reader=self._reader,
            store=store,
            decode=formats.decode,
            publish=self._publisher.publish,
            tombstoned=self._purger.cut,
            after_commit=after_commit,
            health=self.health,
            metrics=self._metrics,
            clock=clock,
            max_deliveries=options.max_deliveries,
        )
        self._ingest = Ingest(parts, self._stop)

    def stop(self) -> None:
        """Finish the batch under way, and return from `run`."""
        self._stop.set()

    async def run(self, listener: socket.socket | None) -> None:
        """Run until stopped.

        Args:
            listener: a bound socket of the HTTP server; None: no server.

        Raises:
            RuntimeError: a loop ended that should not have; this is a bug.
        """
        server = build_server(create_app(self._services())) if listener is not None else None
        background = [asyncio.create_task(each) for each in self._background()]
        once = [asyncio.create_task(self._warn())] if self._options.consume else []
        ending = [asyncio.create_task(self._ingest.run())] if self._options.consume else []
        if server is not None and listener is not None:
            ending.append(asyncio.create_task(server.run_on(listener)))
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([stopped, *background, *ending], return_when=asyncio.FIRST_COMPLETED)
            unexpected = not self._stop.is_set()
            self._stop.set()
            if server is not None:
                server.stop()
            if ending:
                await asyncio.wait(ending, timeout=STOP_WITHIN_S)
        finally:
            tasks = [stopped, *background, *once, *ending]
            await cancel_all(tasks)
            await self._close()
        errors = (task.exception() for task in tasks if not task.cancelled())
        failures = [error for error in errors if error is not None]
        if unexpected or failures:
            raise RuntimeError("a loop of the collector ended") from (failures[0] if failures else None)

    def _services(self) -> Services:
        return Services(
            store=self._store,
            health=self.health,
            metrics=self._metrics,
            redis=self._redis,
            options=self._options.api,
            publish=self._publisher.publish,
            purge=self._purger.purge,
            clock=self._clock,
            stopping=self._stop,
            tracer=self._tracer,
        )

    def _background(self) -> list[Coroutine[Any, Any, None]]:
        """The loops that are cancelled at the end."""
        options = self._options
        jobs = [Job("purge deleted meetings", 5.0, self._purger.sweep)]
        watch = Watch(
            store=self._store,
            redis=self._redis,
            streams=options.read.streams if options.consume else (),
            group=options.read.group,
            health=self.health,
            metrics=self._metrics,
            clock=self._clock,
        )
        loops = [watch.run()]
        if options.consume:
            store_jobs = StoreJobs(
                store=self._store,
                ages=options.ages,
                stream_time_ms=self._stream_time_ms,
                publish=self._publisher.publish,
                purge=self._purger.purge,
                metrics=self._metrics,
            )
            jobs += [*store_jobs.all(), Job("trim streams", 60.0, self._trim)]
            endings = Endings(
                store=self._store,
                redis=self._redis,
                stream_time_ms=self._stream_time_ms,
                publish=self._publisher.publish,
                health=self.health,
                clock=self._clock,
            )
            loops.append(endings.run())
        return [
            *loops,
            watch_loop_lag(self._metrics.loop_lag_s.set),
            repeat(jobs, clock=self._clock, health=self.health),
        ]

    async def _stream_time_ms(self) -> int:
        return await stream_time_ms(self._redis, self._options.read.streams, self._options.read.group)

    async def _trim(self) -> None:
        for stream in self._options.read.streams:
            await trim(self._redis, stream, keep_s=self._options.stream_retention_s)
            await remove_idle_consumers(self._redis, stream, self._options.read.group)

    async def _warn(self) -> None:
        """Say once what is wrong with Redis, as soon as it answers."""
        backoff = Backoff(0.2, 5.0)
        while True:
            try:
                await self._reader.prepare()
                found = await warnings(self._redis, self._options.read.streams, self._options.read.group)
            except RedisFailure:
                await self._clock.sleep(backoff.next_s())
            else:
                break
        for message in found:
            log.warning(message)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_WITHIN_S):
                for stream in self._options.read.streams if self._options.consume else ():
                    await leave(self._redis, stream, self._options.read.group, self._options.read.consumer)
        except RedisFailure:  # a timeout is one of them
            log.info("the consumer stays in its group, because Redis does not answer")
        await self._blocking.aclose()
        await self._redis.aclose()
