"""What waits to be sent to one client: finals all of them, partials only the newest.

A client that reads slowly must not make the gateway remember every partial, so messages are made
when the socket can take them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from app.contracts.whisperlive import Message
from app.live.policy.windows import Update
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer


class Outbox:
    """A queue of one reader (the writer task) for one connection."""

    def __init__(self, renderer: WhisperLiveRenderer) -> None:
        self._renderer = renderer
        self._warnings: deque[Message] = deque(maxlen=32)
        self._update: Update | None = None
        self._news = asyncio.Event()
        self._sent = asyncio.Event()
        self._sent.set()

    def notice(self, message: Message) -> None:
        """A message that stands for itself."""
        self._warnings.append(message)
        self._wake()

    def update(self, update: Update) -> None:
        """News of the transcript; merged with what has not been sent yet."""
        old = self._update
        if old is not None:
            update = replace(
                update, completed=old.completed + update.completed, language=old.language or update.language
            )
        self._update = update
        self._wake()

    async def take(self) -> list[Message]:
        """Everything there is to send, at least one message; waits for it."""
        while True:
            await self._news.wait()
            self._news.clear()
            if messages := list(self._drain()):
                return messages
            self.sent()

    def sent(self) -> None:
        """What was taken has been sent."""
        if not self._warnings and self._update is None:
            self._sent.set()

    async def drained(self) -> None:
        """Wait until nothing is left to send."""
        await self._sent.wait()

    def _wake(self) -> None:
        self._sent.clear()
        self._news.set()

    def _drain(self) -> Iterator[Message]:
        while self._warnings:
            yield self._warnings.popleft()
        update, self._update = self._update, None
        if update is not None:
            yield from self._renderer.messages(update)
