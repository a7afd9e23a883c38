"""The loop that stores: read entries, decode them, one transaction for each batch, acknowledge, publish.

Acknowledged only after the commit, so a crash at any line repeats a batch and loses none. At most one batch is under
way, so a slow database slows the reading down.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.collector.clock import Clock
from app.collector.errors import DatabaseAway
from app.collector.facts import Entry
from app.collector.failures import describe
from app.collector.health import Health
from app.collector.metrics import CollectorMetrics, DeadReason
from app.collector.redis_io.connection import RedisFailure, RedisFull, away_reason
from app.collector.redis_io.entries import DeadLetter, RawEntry
from app.collector.redis_io.reader import CLAIM_START, StreamReader
from app.collector.rows import Applied
from app.collector.storage import Storage
from app.collector.waiting import pause
from app.contracts.collector import DEAD_SUFFIX
from app.ops.backoff import Backoff

log = logging.getLogger(__name__)

LOOP: Final = "consumer"
CLAIM_EVERY_S: Final = 10.0
RENEW_EVERY_S: Final = 10.0


class Stopping(Exception):
    """The process stops; what is not stored stays pending."""


@dataclass(slots=True)
class Batch:
    """Entries on their way.

    Attributes:
        entries: decoded, to be stored, each with what was read.
        done: stored, or nothing to store.
        letters: for the dead letters, each with the label of its metric.
    """

    entries: list[tuple[RawEntry, Entry]] = field(default_factory=list)
    done: list[RawEntry] = field(default_factory=list)
    letters: list[tuple[DeadReason, DeadLetter]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class IngestParts:
    """What the loop works with.

    Attributes:
        decode: reads an entry; raises ValueError with a reason if nothing of it can be used.
        publish: tells live readers of committed changes.
        tombstoned: called after entries of deleted meetings came, so that their copies go too.
        after_commit: called between a commit and its acknowledgement; tests end the process there.
    """

    reader: StreamReader
    store: Storage
    decode: Callable[[RawEntry], Entry]
    publish: Callable[[Applied], Awaitable[None]]
    tombstoned: Callable[[], Awaitable[None]]
    after_commit: Callable[[], None]
    health: Health
    metrics: CollectorMetrics
    clock: Clock
    max_deliveries: int


class Ingest:
    """One consumer."""

    def __init__(self, parts: IngestParts, stop: asyncio.Event) -> None:
        """Nothing happens before `run`.

        Args:
            parts: what it works with.
            stop: once it is set, the batch under way is finished and `run` returns.
        """
        self._parts = parts
        self._stop = stop
        self._claim_at = 0.0

    async def run(self) -> None:
        """Read and store until stopped, whatever happens to Redis and the database."""
        backoff = Backoff(0.2, 5.0)
        self._parts.health.tick(LOOP)  # without Redis its age counts from here
        while not self._stop.is_set():
            try:
                await self.round()
            except Stopping:
                break
            except RedisFailure as error:
                self._parts.health.set_redis(ok=False, reason=away_reason(error))
                await pause(self._parts.clock, backoff.next_s(), self._stop)
            except Exception as error:  # noqa: BLE001 - nothing may end this loop; what was read is delivered again
                log.error("a batch failed; this is a bug", extra={"fields": describe(error)})  # noqa: TRY400 - no message
                await pause(self._parts.clock, backoff.next_s(), self._stop)
            else:
                backoff.reset()
        self._parts.health.forget(LOOP)

    async def round(self) -> None:
        """Take over stale deliveries if it is time, then read once.

        Raises:
            RedisFailure: Redis is away.
            Stopping: the database is away, and the process stops.
        """
        parts = self._parts
        if parts.clock.monotonic() >= self._claim_at:
            for stream in parts.reader.options.streams:
                await self._claim(stream)
            self._claim_at = parts.clock.monotonic() + CLAIM_EVERY_S
        entries = await parts.reader.read()
        parts.health.set_redis(ok=True)
        parts.health.tick(LOOP)
        if entries:
            await self._process(entries)

    async def _claim(self, stream: str) -> None:
        parts = self._parts
        cursor = CLAIM_START
        while not self._stop.is_set():
            claimed = await parts.reader.claim(stream, cursor)
            if claimed.deleted:
                parts.metrics.trimmed_pending.inc(claimed.deleted)
                fields = {"stream": stream, "entries": claimed.deleted}
                log.error("entries were deleted from the stream before they were stored", extra={"fields": fields})
            if claimed.entries:
                parts.metrics.claimed.inc(len(claimed.entries))
                await self._process(claimed.entries, claimed.deliveries)
            parts.health.tick(LOOP)
            cursor = claimed.cursor
            if cursor == CLAIM_START:
                return

    async def _process(self, entries: Sequence[RawEntry], deliveries: dict[str, int] | None = None) -> None:
        batch = self._decode(entries, deliveries or {})
        started = self._parts.clock.monotonic()
        results = await self._store(batch, entries)
        if results:
            self._parts.metrics.batch_s.observe(self._parts.clock.monotonic() - started)
            self._parts.after_commit()
        self._refuse(batch, results, deliveries or {})
        await self._finish(batch)
        for result in results:
            await self._parts.publish(result)
        if any(result.counts.get("tombstoned") for result in results):
            await self._parts.tombstoned()

    def _decode(self, entries: Iterable[RawEntry], deliveries: dict[str, int]) -> Batch:
        batch = Batch()
        for raw in entries:
            tried = deliveries.get(raw.id, 1)
            if tried > 2 * self._parts.max_deliveries:  # it may be what ended the process each time
                batch.letters.append(("poison", DeadLetter(raw, "delivered too often", tried)))
                continue
            try:
                entry = self._parts.decode(raw)
            except ValueError as error:
                batch.letters.append(("unusable", DeadLetter(raw, str(error), tried)))
            except Exception as error:  # noqa: BLE001 - decoding depends on nothing else, so it would fail again
                log.error("an entry cannot be decoded; this is a bug", extra={"fields": _at(raw) | describe(error)})  # noqa: TRY400 - no message
                batch.letters.append(("unusable", DeadLetter(raw, type(error).__name__, tried)))
            else:
                batch.entries.append((raw, entry))
        return batch

    async def _store(self, batch: Batch, claimed: Sequence[RawEntry]) -> list[Applied]:
        """Store the batch in one transaction; if a bug prevents that, each entry in one of its own."""
        if not batch.entries:
            return []
        try:
            result = await self._apply([entry for _, entry in batch.entries], claimed)
        except Stopping:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other entries are to be stored
            log.error("a batch cannot be stored; trying each entry alone", extra={"fields": describe(error)})  # noqa: TRY400 - no message
        else:
            batch.done += [raw for raw, _ in batch.entries]
            return [result]
        results = []
        for raw, entry in batch.entries:
            try:
                results.append(await self._apply([entry], claimed))
            except Stopping:
                raise
            except Exception as error:  # noqa: BLE001 - a bug that this entry brings up
                await self._failed(batch, raw, error)
            else:
                batch.done.append(raw)
        return results

    async def _apply(self, entries: list[Entry], claimed: Sequence[RawEntry]) -> Applied:
        """One transaction, tried until the database answers."""
        parts = self._parts
        backoff = Backoff(0.5, 5.0)
        renew_at = parts.clock.monotonic() + RENEW_EVERY_S
        while True:
            try:
                result = await parts.store.apply(entries)
            except DatabaseAway as error:
                parts.health.set_database(ok=False, use="write", reason=str(error))
                parts.metrics.database_errors.inc()
                if self._stop.is_set():
                    raise Stopping from error
                await pause(parts.clock, backoff.next_s(), self._stop)
                parts.health.tick(LOOP)
                if parts.clock.monotonic() >= renew_at:
                    await self._renew(claimed)
                    renew_at = parts.clock.monotonic() + RENEW_EVERY_S
            else:
                break
        parts.health.set_database(ok=True, use="write")
        parts.metrics.applied(result)
        now_ms = parts.clock.now_ms()
        for entry in entries:
            parts.metrics.store_latency_s.observe(max(now_ms - entry.revision.ms, 0) / 1000)
        return result

    async def _renew(self, entries: Sequence[RawEntry]) -> None:
        try:
            await self._parts.reader.renew(entries)
        except RedisFailure as error:  # somebody else may take them over, which does no harm
            log.warning("deliveries were not renewed", extra={"fields": {"error": type(error).__name__}})

    async def _failed(self, batch: Batch, raw: RawEntry, error: Exception) -> None:
        """An entry that cannot be stored stays pending, and comes again, until it has come too often."""
        tried = (await self._parts.reader.deliveries([raw])).get(raw.id, 1)
        log.error("an entry cannot be stored", extra={"fields": _at(raw) | {"deliveries": tried} | describe(error)})
        if tried >= self._parts.max_deliveries:
            batch.letters.append(("poison", DeadLetter(raw, type(error).__name__, tried)))

    def _refuse(self, batch: Batch, results: Sequence[Applied], deliveries: dict[str, int]) -> None:
        """Dead letters for what was not stored of the entries that are done.

        What may still be let in stays pending, and comes once more after the entries that others held before it.
        """
        done = {(raw.stream, raw.id): raw for raw in batch.done}
        refused = {(each.stream, each.entry_id): each for result in results for each in result.refused}
        for at, each in refused.items():
            if each.may_change and deliveries.get(each.entry_id, 1) == 1:
                batch.done = [raw for raw in batch.done if (raw.stream, raw.id) != at]
            elif at in done:
                batch.letters.append(("refused", DeadLetter(done[at], each.reason)))
        for raw, entry in batch.entries:
            at = (raw.stream, raw.id)
            if entry.problems and at in done and at not in refused:
                batch.letters.append(("partial", DeadLetter(raw, "; ".join(entry.problems))))

    async def _finish(self, batch: Batch) -> None:
        """Acknowledge and bury, tried until Redis answers; all of it may be repeated."""
        parts = self._parts
        buried = {(letter.entry.stream, letter.entry.id) for _, letter in batch.letters}
        stored = [raw for raw in batch.done if (raw.stream, raw.id) not in buried]
        backoff = Backoff(0.2, 5.0)
        while True:
            try:
                await parts.reader.ack(stored)
                await self._bury(batch)
            except RedisFailure as error:
                parts.health.set_redis(ok=False, reason=away_reason(error))
                log.debug("a batch is stored, not acknowledged", extra={"fields": {"error": type(error).__name__}})
                if self._stop.is_set():
                    raise Stopping from error
                await pause(parts.clock, backoff.next_s(), self._stop)
            else:
                return

    async def _bury(self, batch: Batch) -> None:
        buried = Counter[tuple[str, DeadReason]]()
        try:
            while batch.letters:
                reason, letter = batch.letters[0]
                try:
                    await self._parts.reader.bury([letter])
                except RedisFull:  # they stay pending and come again; the acknowledgements before let Redis be freed
                    log.warning("Redis is full: dead letters wait", extra={"fields": {"entries": len(batch.letters)}})
                    return
                self._parts.metrics.dead(reason)
                buried[letter.entry.stream, reason] += 1
                del batch.letters[0]
        finally:
            for (stream, reason), entries in buried.items():
                fields = {"reason": reason, "entries": entries, "kept_in": stream + DEAD_SUFFIX}
                log.warning("entries went to the dead letters", extra={"fields": fields})


def _at(raw: RawEntry) -> dict[str, str]:
    return {"stream": raw.stream, "entry": raw.id}
