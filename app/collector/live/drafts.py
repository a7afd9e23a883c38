"""The drafts of one meeting: its sessions, the channel of each, and what was said before the channel was followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from app.collector.errors import DatabaseAway
from app.collector.live.draft_message import Drafts, read_drafts
from app.collector.live.hub import Hub
from app.collector.redis_io.connection import Client, RedisFailure
from app.collector.rows import SessionRow
from app.collector.storage import Storage
from app.contracts.collector import draft_channel, draft_key

MAX_SESSIONS: Final = 64  # the newest ones of a meeting


class SessionDrafts:
    """Follows the sessions of a meeting that are not over.

    Attributes:
        sessions: those that are followed, by their key.
        latest: the newest drafts of each, for readers that come later.
    """

    def __init__(
        self, meeting_id: int, store: Storage, redis: Client, hub: Hub, *, on_drafts: Callable[[Drafts], None]
    ) -> None:
        """Follow nothing yet; `on_drafts` is called for each message."""
        self._meeting_id = meeting_id
        self._store = store
        self._redis = redis
        self._hub = hub
        self._on_drafts = on_drafts
        self._syncing = asyncio.Lock()
        self._closed = False
        self.sessions: dict[str, SessionRow] = {}
        self.latest: dict[str, Drafts] = {}

    async def sync(self, *, on_new: Callable[[str], None]) -> None:
        """Follow the sessions that the store knows, and read the drafts that they last published.

        Nothing raises: without the database or Redis the sessions stay as they are until the next call.

        Args:
            on_new: called with the key of each session before its drafts can come.
        """
        async with self._syncing:
            if self._closed:
                return
            try:
                rows = await self._store.sessions(self._meeting_id)
            except DatabaseAway:
                return
            going_on = sorted((row for row in rows if row.end_ms is None), key=lambda row: row.start_ms)[-MAX_SESSIONS:]
            wanted = {row.key: row for row in going_on}
            over = [key for key in self.sessions if key not in wanted]
            new = [key for key in wanted if key not in self.sessions]
            self.sessions = wanted
            for key in over:
                self.latest.pop(key, None)
            await self._hub.leave(map(draft_channel, over), self._message)
            for key in new:
                on_new(key)
            await self._hub.follow(map(draft_channel, new), self._message)
            await self._read_latest()

    async def close(self) -> None:
        """Follow nothing more."""
        async with self._syncing:
            self._closed = True
            channels, self.sessions = [draft_channel(key) for key in self.sessions], {}
            await self._hub.leave(channels, self._message)

    async def _read_latest(self) -> None:
        keys = list(self.sessions)
        if not keys:
            return
        try:
            values = await self._redis.mget([draft_key(key) for key in keys])
        except RedisFailure:
            return
        for key, value in zip(keys, values, strict=True):
            if isinstance(value, str):
                self._take(key, value)

    def _message(self, channel: str, payload: str) -> None:
        self._take(channel.removeprefix(draft_channel("")), payload)

    def _take(self, key: str, payload: str) -> None:
        row = self.sessions.get(key)
        if row is None:
            return
        drafts = read_drafts(payload, connection_id=key, session_uid=row.uid, start_ms=row.start_ms)
        if drafts is not None:
            self.latest[key] = drafts
            self._on_drafts(drafts)
