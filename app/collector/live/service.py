"""The live push of a process: its readers, the meetings that they follow, and the loops that keep them up to date.

The loops run while there are readers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

from app.collector.errors import DatabaseAway
from app.collector.failures import describe
from app.collector.live.feed import Feed
from app.collector.live.hub import Hub
from app.collector.live.subscription import LiveClient
from app.collector.live.view import View
from app.collector.rows import MeetingRow
from app.collector.services import Services

TICK_S: Final = 0.25
COMPARE_S: Final = 5.0  # for frames that were lost with their collector
POLL_S: Final = 1.0  # while Redis is away


log = logging.getLogger(__name__)


class Live:
    """All live readers of a process."""

    def __init__(self, services: Services) -> None:
        """Connect nothing until the first reader comes."""
        self._services = services
        self._clients: set[LiveClient] = set()
        self._feeds: dict[int, Feed] = {}
        self._hub = Hub(services.redis, services.clock, on_connected=self._connected)
        self._tasks: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def connected(self, client: LiveClient) -> AsyncIterator[None]:
        """Serve a client within this context."""
        gauge = self._services.metrics.live_clients.labels(client.kind)
        gauge.inc()
        async with self._changing:
            self._clients.add(client)
            if len(self._clients) == 1:
                self._start()
        if self._services.stopping.is_set():
            client.close()
        try:
            yield
        finally:
            gauge.dec()
            client.close()
            for meeting_id in tuple(client.views):
                await self.unsubscribe(client, meeting_id)
            async with self._changing:
                self._clients.discard(client)
                if not self._clients:
                    await self._stop()

    async def subscribe(self, client: LiveClient, meeting: MeetingRow, *, since_seq: int) -> None:
        """Send a client what changed in a meeting after `since_seq`, and all that will change."""
        if meeting.id in client.views:
            return
        feed = self._feeds.get(meeting.id)
        if feed is None:
            feed = self._feeds[meeting.id] = Feed(meeting, self._services, self._hub, spawn=self._spawn)
        feed.waiting += 1
        try:
            await feed.open()
            client.add(View(feed.identity, since_seq=since_seq))
            feed.add(client)
        finally:
            feed.waiting -= 1
            await self._close_unused(feed)

    async def unsubscribe(self, client: LiveClient, meeting_id: int) -> None:
        """Send a client no more of a meeting."""
        client.remove(meeting_id)
        feed = self._feeds.get(meeting_id)
        if feed is None:
            return
        if client in feed.readers:
            feed.readers.remove(client)
        await self._close_unused(feed)

    async def _close_unused(self, feed: Feed) -> None:
        if not feed.readers and not feed.waiting and self._feeds.pop(feed.meeting_id, None) is not None:
            await feed.close()

    def _start(self) -> None:
        for loop in (self._hub.run(), self._tick(), self._compare(), self._end()):
            self._spawn(loop)

    async def _stop(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("a task of the live push failed; this is a bug", extra={"fields": describe(error)})

    def _connected(self) -> None:
        for feed in self._feeds.values():
            feed.lost()

    async def _tick(self) -> None:
        """Drafts that are held back, and comments that keep connections open."""
        clock = self._services.clock
        while True:
            await clock.sleep(TICK_S)
            for client in tuple(self._clients):
                client.tick(clock.monotonic())

    async def _compare(self) -> None:
        """Compare what readers have with the store."""
        clock = self._services.clock
        compared_s = clock.monotonic()
        while True:
            await clock.sleep(POLL_S)
            if self._hub.connected and clock.monotonic() - compared_s < COMPARE_S:
                continue
            compared_s = clock.monotonic()
            with contextlib.suppress(DatabaseAway):
                feeds = dict(self._feeds)
                seqs = await self._services.store.seqs(feeds)
                for meeting_id, feed in feeds.items():
                    if meeting_id in seqs:
                        feed.seq(seqs[meeting_id])
                    else:
                        await self._deleted(feed)

    async def _deleted(self, feed: Feed) -> None:
        """Each reader looks for the meeting, does not find it, and tells its client."""
        for reader in tuple(feed.readers):
            reader.on_lost(feed.meeting_id)
        if self._feeds.pop(feed.meeting_id, None) is not None:
            await feed.close()

    async def _end(self) -> None:
        await self._services.stopping.wait()
        for client in tuple(self._clients):
            client.close()
