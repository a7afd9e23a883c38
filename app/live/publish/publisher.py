"""One task per gateway that carries entries from the sessions to Redis, whatever Redis does.

Sessions hand over entries without waiting. While Redis is away, full or longer than allowed, entries wait in
memory, or on disk if there is a spool; beyond both, the oldest are dropped and counted. After every new connection
everything of the last two minutes is sent again, because Redis may have restarted without its data; readers know
each entry by its contents, so a second copy changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.contracts.whisperlive import Handshake
from app.live.metrics import GatewayMetrics
from app.live.publish.backlog import Backlog, Recent, Waiting
from app.live.publish.link import Answer, Away, Link
from app.live.publish.payloads import Identity, LiveFrame, StreamEntry
from app.live.publish.recorder import SessionRecorder, Target
from app.live.publish.spool import Spool
from app.ops.backoff import Backoff

log = logging.getLogger(__name__)

BATCH = 200  # entries in one round trip, about 200 kB; more would hold up the event loop for over 10 ms
FIRST_RETRY_S, LONGEST_RETRY_S = 0.2, 5.0
ASK_EVERY_S = 2.0  # with nothing to send: notices a Redis that was restarted
ADOPT_EVERY_S = 60.0
WARN_EVERY_S = 10.0
FLUSH_S = 2.0  # at the end of the gateway
CONNECTION_ID_BYTES = 10  # of chance, after the session's id in the logs


class _Refused(Exception):
    """Redis answers, but takes no entries; the message is for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherOptions:
    """How to publish.

    Attributes:
        gateway: the name of this gateway, in every session's start.
        stream_max: entries in a stream above which nothing is added.
    """

    target: Target = field(default_factory=Target)
    gateway: str = ""
    stream_max: int = 1_000_000


class Publisher:
    """Publishes what the sessions of one gateway record."""

    def __init__(
        self,
        link: Link,
        options: PublisherOptions,
        metrics: GatewayMetrics,
        *,
        spool: Spool | None = None,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._options = options
        self._metrics = metrics
        self._spool = spool
        self._unix_s = unix_s
        self._backlog = Backlog()
        self._recent = Recent()
        self._again: list[StreamEntry] = []  # to be sent a second time
        self._in_flight = 0
        self._seen_connections = 0
        self._connected = False
        self._longest = 0
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        self._retry_at_s = 0.0
        self._ask_at_s = 0.0  # when to send something if there is nothing to send
        self._adopt_at_s = 0.0
        self._warned_at_s: dict[str, float] = {}
        self._closing = False
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        metrics.publish_backlog.set_function(lambda: float(self.backlog))

    @property
    def backlog(self) -> int:
        """Entries in memory that Redis has not taken."""
        return len(self._backlog) + self._in_flight

    # For the sessions; none of these waits.

    def recorder(self, session_id: str, handshake: Handshake) -> SessionRecorder:
        """The recorder of a new session; its connection id begins with the session's id in the logs."""
        connection_id = f"{session_id}{secrets.token_hex(CONNECTION_ID_BYTES)}"
        identity = Identity.of(handshake, connection_id=connection_id, gateway=self._options.gateway)
        left_out = [n for n in ("token", "platform", "meeting_id") if getattr(identity, n) != getattr(handshake, n)]
        if left_out:
            fields = {"session": session_id, "fields": left_out}
            log.warning("handshake fields are too long to publish and left out", extra={"fields": fields})
        self._recent.opened(connection_id)
        unix_s = self._unix_s() - _now()  # the clock of the machine may be set while the session lasts
        return SessionRecorder(
            identity,
            target=self._options.target,
            sink=self,
            language=handshake.language,
            now_ms=lambda: round((unix_s + _now()) * 1000),
        )

    def put(self, entry: StreamEntry, frame: LiveFrame | None = None) -> None:
        """Publish an entry."""
        self._dropped(self._backlog.put(Waiting(entry, _now(), frame)), "backlog")
        self._news.set()

    def show(self, connection_id: str, frames: tuple[LiveFrame, ...]) -> None:
        """Publish a session's newest drafts."""
        self._backlog.show(connection_id, frames)
        self._news.set()

    def refuse(self, reason: str) -> None:
        """Count something that a client sent and that cannot be published."""
        self._metrics.publish_dropped.labels(reason).inc()

    def closed(self, connection_id: str) -> None:
        """Nothing of this session follows."""
        self._recent.closed(connection_id)

    # For the process.

    def health(self) -> dict[str, Any]:
        """The state, for /health."""
        spooled = {} if self._spool is None else {"spooled_bytes": self._spool.waiting_bytes}
        return {"connected": self._connected, "backlog": self.backlog, **spooled}

    async def close(self) -> None:
        """Publish what waits, for two seconds at most; then spool it, or count it as lost."""
        self._closing = True
        self._retry_at_s = 0.0
        self._news.set()
        await asyncio.wait([self._task], timeout=FLUSH_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._keep()
        self._dropped(len(self._backlog), "shutdown")
        if self._spool is not None:
            await asyncio.to_thread(self._spool.close)
        await self._link.close()

    # The task.

    async def _run(self) -> None:
        while not (self._closing and not self._again and not len(self._backlog) and not self._backlog.has_frames):
            try:
                await self._turn()
            except (Away, _Refused) as failure:
                self._failed(failure)
            except Exception as bug:  # noqa: BLE001  the top of the task; a traceback could contain text
                fields = {"error": type(bug).__name__}
                log.error("publishing failed. This is a bug.", extra={"fields": fields})  # noqa: TRY400
                self._failed(bug)

    async def _turn(self) -> None:
        """Publish a batch, or save what waits while Redis does not take it, or wait for news."""
        now_s = _now()
        if self._spool is not None and now_s >= self._adopt_at_s:
            self._adopt_at_s = now_s + ADOPT_EVERY_S
            await self._adopt(self._spool)
        if now_s < self._retry_at_s:
            await self._keep()
            await self._wait(self._retry_at_s)
        elif not await self._publish():
            await self._wait(self._ask_at_s)

    async def _wait(self, until_s: float) -> None:
        """Until something is to be published, or it is time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                await self._news.wait()
        self._news.clear()

    async def _publish(self) -> bool:
        """One round trip; False if nothing is left to publish."""
        if not self._connected or self._longest > self._options.stream_max:
            await self._send((), ())
        if self._longest > self._options.stream_max:
            raise _Refused(f"a stream is longer than REDIS_STREAM_MAX ({self._options.stream_max})")
        if self._again:
            await self._publish_again(self._again)
        elif len(self._backlog) or self._backlog.has_frames:
            await self._publish_backlog()
        elif self._spool is not None and self._spool.waiting_bytes:
            return await self._publish_spooled(self._spool)
        elif _now() >= self._ask_at_s:
            self._check(await self._send((), ()))  # is Redis there, and the same as before?
        return bool(self._again or len(self._backlog) or (self._spool is not None and self._spool.waiting_bytes))

    async def _publish_backlog(self) -> None:
        taken = self._backlog.take(BATCH)
        frames = [waiting.frame for waiting in taken if waiting.frame is not None] + self._backlog.take_frames()
        self._in_flight = len(taken)
        rest: Sequence[Waiting] = taken
        try:
            answer = await self._send([waiting.entry for waiting in taken], frames)
            rest = [waiting for waiting, is_taken in zip(taken, answer.taken, strict=True) if not is_taken]
            for waiting, is_taken in zip(taken, answer.taken, strict=True):
                if is_taken:
                    self._metrics.publish_s.observe(_now() - waiting.since_s)
        finally:
            self._in_flight = 0
            self._dropped(self._backlog.put_back(rest), "backlog")
        self._check(answer)

    async def _publish_again(self, again: list[StreamEntry]) -> None:
        """Send the first of these entries a second time; the list is replaced if Redis restarts meanwhile."""
        batch = again[:BATCH]
        self._check(await self._send(batch, (), is_new=False))
        del again[: len(batch)]

    async def _publish_spooled(self, spool: Spool) -> bool:
        """Publish the oldest entries on disk; False if they cannot be read."""
        try:
            chunk = await asyncio.to_thread(spool.read, BATCH)
            if chunk is None:
                return True
            self._check(await self._send(chunk.entries, ()))
            self._dropped(chunk.unreadable, "spool")
            await asyncio.to_thread(spool.published, chunk)
        except OSError as failure:
            self._warn("the spool cannot be read", failure.strerror)
            self._ask_at_s = _now() + ASK_EVERY_S
            return False
        return True

    async def _send(
        self, entries: Sequence[StreamEntry], frames: Sequence[LiveFrame], *, is_new: bool = True
    ) -> Answer:
        answer = await self._link.send(entries, frames)
        self._ask_at_s = _now() + ASK_EVERY_S
        taken = [entry for entry, is_taken in zip(entries, answer.taken, strict=True) if is_taken]
        for entry in taken:
            self._metrics.published.labels(entry.kind).inc()
        self._longest = answer.longest
        self._note_connection()  # before `taken` is added: Redis has that
        if is_new:
            self._recent.add(taken, _now())
        self._recent.answered(_now())
        return answer

    def _note_connection(self) -> None:
        """After the first answer on a new connection: everything recent is to be sent again."""
        if not self._connected:
            log.info("connected to Redis", extra={"fields": {"backlog": self.backlog}})
        self._connected = True
        if self._link.connections != self._seen_connections:
            self._seen_connections = self._link.connections
            self._again = self._recent.entries()

    def _check(self, answer: Answer) -> None:
        if answer.refusal:
            raise _Refused(answer.refusal)
        self._backoff.reset()

    def _failed(self, failure: Exception) -> None:
        """Try again later."""
        if isinstance(failure, Away):
            self._connected = False
        delay_s = self._backoff.next_s()
        self._retry_at_s = _now() + (FIRST_RETRY_S if self._closing else delay_s)
        known = isinstance(failure, Away | _Refused)
        self._warn("Redis takes no transcripts; they wait", str(failure) if known else type(failure).__name__)

    # The spool, and what is lost.

    async def _adopt(self, spool: Spool) -> None:
        try:
            if count := await asyncio.to_thread(spool.adopt):
                log.info("publishing what another gateway left", extra={"fields": {"files": count}})
        except OSError as failure:
            self._warn("the spool cannot be read", failure.strerror)

    async def _keep(self) -> None:
        """Move what waits in memory to the disk."""
        while self._spool is not None and len(self._backlog):
            taken = self._backlog.take(BATCH)
            self._in_flight = len(taken)
            try:
                await asyncio.to_thread(self._spool.append, [waiting.entry for waiting in taken])
                taken = []
            except OSError as failure:
                self._warn("the spool cannot be written", failure.strerror or str(failure))
                return
            finally:
                self._in_flight = 0
                self._dropped(self._backlog.put_back(taken), "backlog")

    def _dropped(self, count: int, reason: str) -> None:
        if count:
            self._metrics.publish_dropped.labels(reason).inc(count)
            self._warn("transcripts were dropped", reason)

    def _warn(self, event: str, reason: str | None) -> None:
        """Log a warning, the same one at most every ten seconds."""
        now_s = _now()
        if now_s - self._warned_at_s.get(event, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned_at_s[event] = now_s
            log.warning(event, extra={"fields": {"reason": reason, "backlog": self.backlog}})


def _now() -> float:
    return asyncio.get_running_loop().time()
