"""The messages waiting to be sent to one client: all final segments, but only the newest partial.

A client that reads slowly must not make the gateway keep every partial, so transcript messages are
built when the socket can take them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from app.contracts.whisperlive import Message
from app.live.policy.windows import Update
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer
from app.live.session.recorder import NotRecorded, Recorder

MAX_MESSAGES = 32  # besides the transcript; the oldest are dropped


class Outbox:
    """A queue with one reader, the writer task of a connection."""

    def __init__(self, renderer: WhisperLiveRenderer, recorder: Recorder | None = None) -> None:
        """`recorder` gets every update as it comes, however slowly the client reads."""
        self._renderer = renderer
        self._recorder = recorder or NotRecorded()
        self._messages: deque[Message] = deque(maxlen=MAX_MESSAGES)
        self._update: Update | None = None
        self.n_words = 0  # of the completed segments so far
        self._not_empty = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, message: Message) -> None:
        """Add a message that is not part of the transcript."""
        self._messages.append(message)
        self._wake()

    def update(self, update: Update) -> None:
        """Add a change of the transcript; it is merged with the changes not sent yet."""
        self._recorder.update(update)
        self.n_words += sum(len(segment.words) for segment in update.completed)
        unsent = self._update
        if unsent is not None:
            update = replace(
                update, completed=unsent.completed + update.completed, language=unsent.language or update.language
            )
        self._update = update
        self._wake()

    async def take(self) -> list[Message]:
        """Wait for messages and take all of them, at least one."""
        while True:
            await self._not_empty.wait()
            self._not_empty.clear()
            if messages := list(self._take_all()):
                return messages
            self.sent()

    def sent(self) -> None:
        """Report that the messages taken were sent."""
        if not self._messages and self._update is None:
            self._empty.set()

    async def wait_empty(self) -> None:
        """Wait until everything was sent."""
        await self._empty.wait()

    def _wake(self) -> None:
        self._empty.clear()
        self._not_empty.set()

    def _take_all(self) -> Iterator[Message]:
        while self._messages:
            yield self._messages.popleft()
        update, self._update = self._update, None
        if update is not None:
            yield from self._renderer.messages(update)
