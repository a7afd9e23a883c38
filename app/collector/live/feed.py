"""One meeting in this process: its channels and drafts, shared by everyone who reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from app.collector.live.draft_message import Drafts, read_object
from app.collector.live.drafts import SessionDrafts
from app.collector.live.hub import Hub
from app.collector.rows import MeetingRow
from app.collector.services import Services
from app.contracts.collector import chat_channel, meeting_channel, status_channel

CHAT: Final = "chat_message"
STATUS: Final = "meeting.status"


class Reader(Protocol):
    """Who reads a meeting."""

    def on_frame(self, meeting_id: int, frame: dict[str, Any]) -> None:
        """A message of the meeting's own channel."""
        ...

    def on_note(self, meeting_id: int, frame: dict[str, Any]) -> None:
        """What others tell about the meeting: its status, its chat."""
        ...

    def on_session(self, meeting_id: int, connection_id: str) -> None:
        """The meeting has another session."""
        ...

    def on_drafts(self, meeting_id: int, drafts: Drafts) -> None:
        """The newest drafts of a session."""
        ...

    def on_seq(self, meeting_id: int, seq: int) -> bool:
        """The store says how far the meeting is; return whether something was lost."""
        ...

    def on_lost(self, meeting_id: int) -> None:
        """Messages may have been lost."""
        ...


class Feed:
    """The messages of one meeting."""

    def __init__(
        self,
        meeting: MeetingRow,
        services: Services,
        hub: Hub,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """Follow nothing yet; `spawn` runs a coroutine beside the others."""
        self.meeting_id = meeting.id
        self.identity = {"id": meeting.id, "platform": meeting.platform, "native_id": meeting.native_id}
        self.readers: list[Reader] = []
        self.waiting = 0  # subscribers on their way
        self._hub = hub
        self._spawn = spawn
        self._drafts = SessionDrafts(meeting.id, services.store, services.redis, hub, on_drafts=self._on_drafts)
        self._opening = asyncio.Lock()
        self._open = False

    async def open(self) -> None:
        """Return once the meeting's channels are subscribed, or Redis is known to be away."""
        async with self._opening:
            if not self._open:
                self._open = True
                await self._hub.follow([meeting_channel(self.meeting_id)], self._on_frame)
                await self._hub.follow([status_channel(self.meeting_id), chat_channel(self.meeting_id)], self._on_note)

    async def close(self) -> None:
        """Follow nothing more."""
        async with self._opening:
            await self._hub.leave([meeting_channel(self.meeting_id)], self._on_frame)
            await self._hub.leave([status_channel(self.meeting_id), chat_channel(self.meeting_id)], self._on_note)
        await self._drafts.close()

    def add(self, reader: Reader) -> None:
        """Tell a reader what is known of the drafts, and from now on everything."""
        self.readers.append(reader)
        for key in self._drafts.sessions:
            reader.on_session(self.meeting_id, key)
        for drafts in self._drafts.latest.values():
            reader.on_drafts(self.meeting_id, drafts)
        self.sync()

    def sync(self) -> None:
        """Look for sessions that nobody told of."""
        self._spawn(self._drafts.sync(on_new=self._on_session))

    def seq(self, seq: int) -> None:
        """The store says how far the meeting is; a lost frame may have told of a session."""
        told = [reader.on_seq(self.meeting_id, seq) for reader in tuple(self.readers)]
        if any(told):
            self.sync()

    def lost(self) -> None:
        """Messages may have been lost."""
        for reader in tuple(self.readers):
            reader.on_lost(self.meeting_id)
        self.sync()

    def _on_frame(self, _: str, payload: str) -> None:
        frame = read_object(payload)
        if frame is None:
            return
        if frame.get("type") == "session":
            self.sync()
        for reader in tuple(self.readers):
            reader.on_frame(self.meeting_id, frame)

    def _on_note(self, channel: str, payload: str) -> None:
        """Vexa's own messages name the meeting in other ways, or not at all."""
        frame = read_object(payload)
        expected = CHAT if channel == chat_channel(self.meeting_id) else STATUS
        if frame is None or frame.get("type") != expected:
            return
        note = {**frame, "meeting": self.identity}
        note.pop("user_id", None)
        for reader in tuple(self.readers):
            reader.on_note(self.meeting_id, note)

    def _on_session(self, key: str) -> None:
        for reader in tuple(self.readers):
            reader.on_session(self.meeting_id, key)

    def _on_drafts(self, drafts: Drafts) -> None:
        for reader in tuple(self.readers):
            reader.on_drafts(self.meeting_id, drafts)
