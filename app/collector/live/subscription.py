"""One client of the live push: the meetings that it follows, and what is sent to it next."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from app.collector.errors import DatabaseAway
from app.collector.live.draft_message import Drafts
from app.collector.live.queue import ClientQueue, Item
from app.collector.live.reading import missed
from app.collector.live.view import View
from app.collector.render.bodies import iso
from app.collector.render.frames import Frame
from app.collector.services import Services

Encode = Callable[[Frame], str | None]

RETRY_S: Final = 1.0  # while the database is away
MAX_REPLIES: Final = 32


class LiveClient:
    """A socket or an event stream. Whoever sends to it asks `texts()` for the next text when there is room.

    Attributes:
        kind: for the metrics: websocket or sse.
        closing: nothing more is sent.
    """

    def __init__(
        self,
        services: Services,
        *,
        kind: str,
        owner_id: int,
        encode: Encode,
        gone: Callable[[View], str | None] = lambda view: None,  # noqa: ARG005
        keepalive: tuple[float, str] | None = None,
    ) -> None:
        """Follow nothing yet.

        Args:
            services: of the process.
            kind: websocket or sse.
            owner_id: whose meetings it may read.
            encode: makes the text of a frame; None: this client is not told.
            gone: makes the text that says that a meeting was deleted.
            keepalive: a text to send after so many seconds of silence.
        """
        self.kind = kind
        self.closing = False
        self.owner_id = owner_id
        self.views: dict[int, View] = {}
        self._services = services
        self._encode = encode
        self._gone = gone
        self._keepalive = keepalive
        self._queue = ClientQueue()
        self._replies: deque[str] = deque()
        self._room_for_replies = asyncio.Event()
        self._room_for_replies.set()
        self._given: dict[int, int] = {}  # the seq of what was handed over, by meeting
        self._stale: set[int] = set()  # meetings of which drafts were dropped
        self._spoke_s = services.clock.monotonic()
        self._wake = asyncio.Event()

    def add(self, view: View) -> None:
        """Follow a meeting; it is read from the store first."""
        self.views[view.meeting["id"]] = view
        self._wake.set()

    def remove(self, meeting_id: int) -> None:
        """Follow a meeting no longer."""
        self.views.pop(meeting_id, None)
        self._given.pop(meeting_id, None)
        self._stale.discard(meeting_id)
        self._queue.forget(meeting_id)

    def close(self) -> None:
        """Let `texts()` end."""
        self.closing = True
        self._wake.set()

    async def reply(self, text: str) -> None:
        """Answer the client; waits while it does not read its answers."""
        await self._room_for_replies.wait()
        self._replies.append(text)
        if len(self._replies) >= MAX_REPLIES:
            self._room_for_replies.clear()
        self._wake.set()

    async def texts(self) -> AsyncGenerator[str, None]:
        """What to send, one after the other; ends after `close`."""
        while not self.closing:
            text = self._next()
            if text is not None:
                self._spoke_s = self._services.clock.monotonic()
                yield text
                continue
            view = next((each for each in self.views.values() if each.behind), None)
            if view is not None:
                async with contextlib.aclosing(self._catch_up(view)) as found:
                    async for each in found:
                        self._spoke_s = self._services.clock.monotonic()
                        yield each
                continue
            if self._stale:
                self._refresh()
                continue
            self._wake.clear()
            await self._wake.wait()

    # What the feeds tell.

    def on_frame(self, meeting_id: int, frame: dict[str, Any]) -> None:
        """A message of a meeting's own channel."""
        view = self.views.get(meeting_id)
        if view is not None:
            self._put(view, view.frame(frame, now_s=self._services.clock.monotonic(), ts=self._ts()))

    def on_note(self, meeting_id: int, frame: dict[str, Any]) -> None:
        """What others tell about a meeting."""
        view = self.views.get(meeting_id)
        if view is not None and view.started:
            self._put(view, [frame])

    def on_session(self, meeting_id: int, connection_id: str) -> None:
        """A meeting has another session."""
        view = self.views.get(meeting_id)
        if view is not None:
            view.follow(connection_id)

    def on_drafts(self, meeting_id: int, drafts: Drafts) -> None:
        """The newest drafts of a session."""
        view = self.views.get(meeting_id)
        if view is not None:
            self._put(view, view.drafts(drafts, now_s=self._services.clock.monotonic(), ts=self._ts()))

    def on_seq(self, meeting_id: int, seq: int) -> bool:
        """The store says how far a meeting is; return whether something was lost."""
        view = self.views.get(meeting_id)
        if view is None or seq <= view.position:
            return False
        view.notice(seq)
        self._wake.set()
        return True

    def on_lost(self, meeting_id: int) -> None:
        """Messages may have been lost."""
        view = self.views.get(meeting_id)
        if view is not None:
            view.fall_behind()
            self._wake.set()

    def tick(self, now_s: float) -> None:
        """Let time pass."""
        ts = self._ts()
        for view in tuple(self.views.values()):
            self._put(view, view.tick(now_s=now_s, ts=ts))
        if self._keepalive is not None and now_s - self._spoke_s >= self._keepalive[0] and not self._replies:
            self._spoke_s = now_s
            self._replies.append(self._keepalive[1])
            self._wake.set()

    def _put(self, view: View, found: list[Frame]) -> None:
        """Queue frames of a view; what is dropped for them is read again later."""
        for frame in found:
            text = self._encode(frame)
            if text is None:
                continue
            passing = "seq" not in frame or (frame["seq"] == frame["prev_seq"] and not frame.get("confirmed", True))
            dropped = self._queue.put(Item(view.meeting["id"], text, view.position, passing))
            self._stale |= dropped.drafts
            for meeting_id in dropped.frames & self.views.keys():
                behind = self.views[meeting_id]
                behind.fall_behind(behind.position, position=self._given.get(meeting_id, 0))
            if view.meeting["id"] in dropped.frames:
                break
        self._wake.set()

    def _next(self) -> str | None:
        if self._replies:
            text = self._replies.popleft()
            self._room_for_replies.set()
            return text
        item = self._queue.pop()
        if item is None:
            return None
        if item.meeting_id in self._given:
            self._given[item.meeting_id] = item.seq
        return item.text

    def _refresh(self) -> None:
        """Send the drafts again that were dropped."""
        stale, self._stale = self._stale, set()
        for meeting_id in stale & self.views.keys():
            view = self.views[meeting_id]
            view.lost_drafts()
            self._put(view, view.tick(now_s=self._services.clock.monotonic(), ts=self._ts()))

    async def _catch_up(self, view: View) -> AsyncGenerator[str, None]:
        """Read what the client misses of a meeting."""
        meeting_id = view.meeting["id"]
        if view.started:
            self._services.metrics.live_resyncs.inc()
        view.reading()
        try:
            meeting = await self._services.store.meeting_by_id(self.owner_id, meeting_id)
            if meeting is None or meeting.native_id is None:
                self.remove(meeting_id)
                text = self._gone(view)
                if text is not None:
                    yield text
                return
            since_seq = view.position if view.position <= meeting.seq else 0  # a backup may have been restored
            self._given[meeting_id] = since_seq
            now_ms = self._services.clock.now_ms()
            found = missed(self._services.store, meeting, since_seq=since_seq, now_ms=now_ms)
            async with contextlib.aclosing(found):
                async for frame in found:
                    if self.views.get(meeting_id) is not view:
                        return
                    text = self._encode(view.loaded(frame))
                    if text is not None:
                        yield text
        except DatabaseAway:
            await self._services.clock.sleep(RETRY_S)
            return
        self._given[meeting_id] = meeting.seq
        self._put(view, view.caught_up(meeting.seq, ts=self._ts()))

    def _ts(self) -> str:
        return iso(self._services.clock.now_ms())
