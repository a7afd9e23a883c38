"""A meeting that speaks: entries go into a fake store and then, as a collector does it, their frames to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvicorn

from app.collector.api.app import create_app
from app.collector.clock import Clock, SystemClock
from app.collector.facts import Entry, Fact, Retract, Revision, Room, SegmentFact, Segments, SessionStart
from app.collector.redis_io.connection import Client
from app.collector.render.frames import frames
from app.collector.rows import Applied
from app.collector.services import Services
from app.contracts.collector import SEGMENTS_STREAM, draft_channel, meeting_channel
from tests.collector.fake_store import FakeStore
from tests.collector.fakes import services

START_MS = 1_771_147_203_000
PLATFORM, NATIVE = "google_meet", "abc-defg-hij"


class Meeting:
    """One meeting with one connection of a gateway."""

    def __init__(self, store: FakeStore, redis: Client, *, connection_id: str = "c1", native_id: str = NATIVE) -> None:
        self.store = store
        self.redis = redis
        self.connection_id = connection_id
        self.native_id = native_id
        self.said: list[str] = []
        self._n = 0

    @property
    def id(self) -> int:
        """Its number."""
        return next(id_ for id_, each in self.store.found.items() if each.row.native_id == self.native_id)

    async def begin(self) -> None:
        """The session's first sample."""
        await self.commit(SessionStart(START_MS))

    async def say(self, *texts: str, speaker: str | None = None) -> Applied:
        """Finals, all in one entry."""
        return await self.commit(self.segments(*texts, speaker=speaker))

    def segments(self, *texts: str, speaker: str | None = None) -> Segments:
        """The next finals of the connection."""
        return Segments(tuple(self.final(each, speaker) for each in texts))

    def final(self, text: str, speaker: str | None = None) -> SegmentFact:
        """The next final of the connection."""
        n = len(self.said)
        self.said.append(text)
        return SegmentFact(
            key=f"{self.connection_id}:{n}",
            has_id=True,
            text=text,
            completed=True,
            start_ms=1000 * n,
            end_ms=1000 * n + 900,
            ordinal=n,
            speaker=speaker,
        )

    async def retract(self, *segment_ids: str) -> Applied:
        """Segments that were never said."""
        return await self.commit(Retract(segment_ids))

    async def commit(self, *facts: Fact, publish: bool = True) -> Applied:
        """Store an entry, and publish its frames unless they get lost."""
        self._n += 1
        revision = Revision(START_MS + self._n, 0)
        room = Room(PLATFORM, self.native_id)
        entry = Entry(SEGMENTS_STREAM, revision, room, self.connection_id, "u1", self.connection_id, facts)
        applied = await self.store.apply([entry])
        if publish:
            await self.publish(applied)
        return applied

    async def publish(self, applied: Applied) -> None:
        """Publish the frames of a change."""
        for change in applied.changes:
            for frame in frames(change, now_ms=START_MS):
                await self.redis.publish(meeting_channel(change.meeting.id), json.dumps(frame))

    async def draft(self, *texts: str, after: int) -> None:
        """Publish drafts as the gateway does."""
        await self.redis.publish(draft_channel(self.connection_id), self.draft_message(*texts, after=after))

    def draft_message(self, *texts: str, after: int) -> str:
        """What the gateway publishes."""
        segments = [{"start": 100.0 + n, "end": 100.9 + n, "text": text} for n, text in enumerate(texts)]
        return json.dumps({"type": "draft", "connection_id": self.connection_id, "after": after, "segments": segments})


class Merged:
    """What a client shows after merging frames by segment_id, as Vexa's clients do."""

    def __init__(self) -> None:
        self.finals: dict[str, str] = {}
        self.pending: dict[str | None, list[str]] = {}
        self.seq = 0
        self.statuses: list[str] = []

    def take(self, frame: dict[str, Any]) -> None:
        """Merge a frame."""
        self.seq = frame.get("seq", self.seq)
        match frame["type"]:
            case "transcript":
                for segment in frame["confirmed"]:
                    assert self.finals.get(segment["segment_id"], segment["text"]) == segment["text"]
                    self.finals[segment["segment_id"]] = segment["text"]
                self.pending[frame["speaker"]] = [segment["text"] for segment in frame["pending"]]
            case "transcript_retract":
                for each in frame["segment_ids"]:
                    self.finals.pop(each, None)
            case "meeting.status":
                self.statuses.append(frame["payload"]["status"])

    @property
    def drafts(self) -> list[str]:
        """All drafts."""
        return [text for texts in self.pending.values() for text in texts]


class Server:
    """The application on a real socket, in the loop of the test."""

    def __init__(self, parts: Services) -> None:
        self.services = parts
        self.app = create_app(parts)
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(self.app, log_config=None, lifespan="off", timeout_graceful_shutdown=3)
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve; returns once connections are accepted."""
        self._task = asyncio.create_task(self._server._serve([self._listener]))
        await until(lambda: self._server.started)

    async def stop(self) -> None:
        """As a process does at SIGTERM."""
        self.services.stopping.set()
        self._server.should_exit = True
        if self._task is not None:
            await self._task

    async def kill(self) -> None:
        """As if the process were killed: every connection is gone, nothing is said."""
        for each in tuple(self._server.server_state.connections):
            each.transport.abort()
        await self.stop()


@contextlib.asynccontextmanager
async def serving(
    store: FakeStore, redis: Client, *, clock: Clock | None = None, keys: tuple[str, ...] = ()
) -> AsyncIterator[Server]:
    """A server on these parts; real time unless a clock is given."""
    parts = services(store=store, redis=redis, clock=clock or SystemClock(), keys=keys, needs_key=bool(keys))
    server = Server(parts)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def until(condition: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
