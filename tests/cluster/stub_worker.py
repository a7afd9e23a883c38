"""An upstream for tests of nginx: a tiny HTTP/1.1 server in the test's loop that fails on demand.

It answers as its `mode` says, records the requests, and can close the connection in the middle of a request like a
killed process. Tests of the worker's own behaviour use real workers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["serve", "busy", "die", "stream", "echo", "fail"]

BUSY_BODY = b'{"error":{"message":"busy","type":"server_error","param":null,"code":"server_is_overloaded"}}'


@dataclass(slots=True)
class StubWorker:
    """One upstream; change `mode` and `slots` at any time.

    Attributes:
        mode: serve (200 when `release` is set), busy (503), die (read, then close), stream (server-sent
            events), echo (the request's headers as JSON), fail (500).
        slots: requests served at once; more get 503, as from a worker that fails fast.
        killed: close the connections of requests in progress, like a process that dies.
        seen: path and number of body bytes of every complete request.
    """

    port: int
    mode: Mode = "serve"
    slots: int = 1
    release: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[tuple[str, int]] = field(default_factory=list)
    active: int = 0
    killed: bool = False

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = _headers(head)
                path = head.split(" ", 2)[1]
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.seen.append((path, len(body)))
                if not await self._answer(path, headers, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # nginx closed an idle connection
        finally:
            writer.close()

    async def _answer(self, path: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> bool:
        if path.startswith("/health"):
            _write(writer, 200, b'{"status":"healthy"}')
        elif headers.get("upgrade", "").lower() == "websocket":
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhi")
        elif self.mode == "die":
            return False
        elif self.mode == "echo":
            _write(writer, 200, json.dumps(headers).encode())
        elif self.mode == "fail":
            _write(writer, 500, b'{"error":{"message":"broken"}}')
        elif self.mode == "stream":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"9\r\ndata: 1\n\n\r\n")
            await writer.drain()
            await self.release.wait()
            writer.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
        elif self.mode == "busy" or self.active >= self.slots:
            _write(writer, 503, BUSY_BODY, "Retry-After: 1")
        else:
            self.active += 1
            try:
                await self.release.wait()
            finally:
                self.active -= 1
            if self.killed:
                return False
            _write(writer, 200, json.dumps({"text": f"from {self.port}"}).encode())
        await writer.drain()
        return True


def _headers(head: str) -> dict[str, str]:
    lines = head.split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}


def _write(writer: asyncio.StreamWriter, status: int, body: bytes, *headers: str) -> None:
    lines = [
        f"HTTP/1.1 {status} -",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        *headers,
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@asynccontextmanager
async def stub_worker(port: int, host: str = "127.0.0.1") -> AsyncIterator[StubWorker]:
    """Run one until the block ends."""
    worker = StubWorker(port)
    server = await asyncio.start_server(worker._handle, host, port)
    try:
        yield worker
    finally:
        worker.release.set()
        server.close()
