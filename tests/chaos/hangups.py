"""Clients that leave: during the upload, while they wait, during the work, in a stream. Async, raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from tests.chaos.tally import Tally
from tests.chaos.uploads import Upload, Uploads

KIND = "hang-up"
CONNECT_S = 10.0
FIRST_EVENT_S = 10.0
LONGEST_WORK_S = 1.0
CROWD = 8  # more than all slots, so that some of them wait or are refused

Leave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Leavers:
    """Clients of the cluster that hang up; how is chosen by the dice."""

    def __init__(self, port: int, uploads: Uploads, tally: Tally, dice: random.Random) -> None:
        self._port = port
        self._uploads = uploads
        self._tally = tally
        self._dice = dice

    async def leave(self) -> None:
        """Hang up in one of the four ways."""
        way = self._dice.choice((self._in_upload, self._in_work, self._in_stream, self._in_crowd))
        await way()

    async def _in_upload(self) -> None:
        upload = self._any("long", "file")
        part = upload.body[: self._dice.randrange(1, len(upload.body))]

        async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(upload.head + part)
            await writer.drain()
            await asyncio.sleep(self._dice.uniform(0.0, 0.3))

        await self._visit(leave)

    async def _in_work(self) -> None:
        await self._visit(self._after(self._any("long", "file", "realtime"), LONGEST_WORK_S))

    async def _in_crowd(self) -> None:
        """Many at once: those who have no slot leave while they wait."""
        upload = self._any("file")
        await asyncio.gather(*(self._visit(self._after(upload, LONGEST_WORK_S)) for _ in range(CROWD)))

    async def _in_stream(self) -> None:
        upload = self._any("stream")

        async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(upload.head + upload.body)
            await writer.drain()
            async with asyncio.timeout(FIRST_EVENT_S):
                await reader.readuntil(b"\n\n")

        await self._visit(leave)

    def _after(self, upload: Upload, longest_s: float) -> Leave:
        async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(upload.head + upload.body)
            await writer.drain()
            await asyncio.sleep(self._dice.uniform(0.02, longest_s))

        return leave

    async def _visit(self, leave: Leave) -> None:
        """Connect, do this, and reset the connection; what the cluster answers is nobody's concern."""
        row = self._tally.of(KIND)
        row.sent += 1
        row.hung_up += 1
        with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                await leave(reader, writer)
            finally:
                writer.transport.abort()

    def _any(self, *kinds: str) -> Upload:
        return self._dice.choice(self._uploads.by_kind[self._dice.choice(kinds)])
