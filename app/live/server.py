"""The WebSocket server: any path, with /health and /metrics beside it, and an orderly stop.

Messages are bounded before they are held in memory. Nothing is compressed: audio does not shrink,
and a small frame may inflate to a large one. Pings keep proxies from closing quiet streams. A
particular pong is not waited for, because a slow but living client may send it behind seconds of its
own audio. Any byte is a sign of life; a client that sends none is dropped, even if a proxy in front
of it keeps the TCP connection alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket as sockets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from app.live.admission import Caller
from app.live.gateway import Gateway
from app.live.protocols.whisperlive.frames import MAX_HANDSHAKE_CHARS
from app.live.session.connection import Disconnected
from app.live.upgrade import HttpAnswer, HttpRequest, UpgradeCheck
from app.ops.addresses import TrustedProxies
from app.ops.keys import KeyRing
from app.ops.trace_context import serving

log = logging.getLogger(__name__)

QUEUED_FRAMES = 8  # times max_frame_bytes: the most unread audio held for one client
FIRST_MESSAGE_BYTES = 2 * MAX_HANDSHAKE_CHARS  # above it the library closes without a reason; below it we send one
WRITE_BUFFER_BYTES = 65_536
CLOSE_TIMEOUT_S = 5.0
OPEN_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Where and for whom the gateway listens.

    Attributes:
        keys: accepted API keys, which may change while it listens.
        origins: web pages and extensions that may connect; without any, all may.
        trusted_proxies: addresses and networks whose X-Forwarded-For is trusted, comma-separated.
        dead_peer_s: a client that sends nothing for this long after a ping is dropped.
    """

    host: str = "127.0.0.1"
    port: int = 9090
    keys: KeyRing = field(default_factory=lambda: KeyRing(()))
    origins: Sequence[str] = ()
    trusted_proxies: str = "127.0.0.1,::1"
    max_frame_bytes: int = 2 * 2**20
    ping_interval_s: float = 20.0
    dead_peer_s: float = 60.0


class TrackedConnection(ServerConnection):
    """The library's connection, with its caller and the time of the last byte from it."""

    caller = Caller()
    received_at_s = 0.0

    def data_received(self, data: bytes) -> None:
        """Bytes of a frame, a pong, anything."""
        self.received_at_s = self.loop.time()
        super().data_received(data)


class WebSocket:
    """The library's connection as a session's Socket; messages after the handshake are limited to a frame's size."""

    def __init__(self, connection: ServerConnection, max_frame_bytes: int) -> None:
        self._connection = connection
        self._max_frame_bytes = max_frame_bytes
        self._handshake_read = False

    async def receive(self) -> str | bytes:
        """The next message. Raises Disconnected."""
        try:
            message = await self._connection.recv()
        except ConnectionClosed as closed:
            raise Disconnected from closed
        except UnicodeDecodeError as invalid:  # the library closes with 1007 itself
            raise Disconnected from invalid
        if self._handshake_read and len(message) > self._max_frame_bytes:  # it arrived together with the handshake
            await self.close(1009, "frame too large")
            raise Disconnected
        self._handshake_read = True
        self._connection.protocol.max_message_size = self._max_frame_bytes  # before the next one is held in memory
        return message

    async def send(self, text: str) -> None:
        """Send one text message; waits while the client does not read. Raises Disconnected."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise Disconnected from closed

    async def close(self, code: int, reason: str) -> None:
        """Close handshake, within CLOSE_TIMEOUT_S."""
        with contextlib.suppress(ConnectionClosed):
            await self._connection.close(code, reason)

    async def wait_closed(self) -> None:
        """Return when the connection is closed."""
        await self._connection.wait_closed()

    def abort(self) -> None:
        """Drop the connection."""
        self._connection.transport.abort()


@asynccontextmanager
async def listening(gateway: Gateway, options: ServerOptions) -> AsyncIterator[Server]:
    """Serve until the block ends, then drain: flush every stream and close it with 1012."""
    upgrade_check = UpgradeCheck(
        gateway,
        keys=options.keys,
        origins=options.origins,
        proxies=TrustedProxies(options.trusted_proxies),
    )

    async def handle(connection: ServerConnection) -> None:
        tracked = cast("TrackedConnection", connection)
        set_tcp_timeout(tracked, options.dead_peer_s)
        watch = asyncio.create_task(drop_when_silent(tracked, options.ping_interval_s + options.dead_peer_s))
        with serving(tracked.caller.trace):
            try:
                await gateway.serve(WebSocket(tracked, options.max_frame_bytes), tracked.caller)
            except Exception:
                log.exception("connection failed")
                await connection.close(1011, "internal error")
            finally:
                watch.cancel()

    def process_request(connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain HTTP or refuse; None lets the library go on: open the WebSocket, or answer 426."""
        found = upgrade_check.check(read_request(request, connection.remote_address))
        if isinstance(found, Caller):
            cast("TrackedConnection", connection).caller = found
        return to_response(found) if isinstance(found, HttpAnswer) else None

    server = await serve(
        handle,
        options.host,
        options.port,
        create_connection=TrackedConnection,
        process_request=process_request,
        select_subprotocol=choose_subprotocol,
        compression=None,
        max_size=max(options.max_frame_bytes, FIRST_MESSAGE_BYTES),
        max_queue=QUEUED_FRAMES,
        write_limit=WRITE_BUFFER_BYTES,
        ping_interval=options.ping_interval_s,
        ping_timeout=None,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        server_header=None,
        backlog=512,
    )
    try:
        yield server
    finally:
        server.close(close_connections=False)
        await gateway.drain()
        server.close()
        for connection in server.all_connections:  # those without a handshake are not waited for
            connection.transport.abort()
        await server.wait_closed()


def read_request(request: Request, peer: object) -> HttpRequest:
    """The library's request as plain values; `peer` is its (address, port, ...)."""
    headers: dict[str, str] = {}
    for name, value in request.headers.raw_items():
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    return HttpRequest(request.path, headers, str(peer[0]) if isinstance(peer, tuple) else "")


def choose_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:  # noqa: ARG001  the library's signature
    """A browser that sends its key in the subprotocols expects one of them in the answer; never echo the key."""
    return next((name for name in offered if name.lower() == "bearer"), None)


def to_response(answer: HttpAnswer) -> Response:
    """An answer as the library sends it."""
    headers = Headers(
        {
            "Content-Type": answer.media_type,
            "Content-Length": str(len(answer.body)),
            "Connection": "close",
            **answer.headers,
        }
    )
    return Response(answer.status.value, answer.status.phrase, headers, answer.body)


def set_tcp_timeout(connection: ServerConnection, seconds: float) -> None:
    """Let TCP close a connection whose peer acknowledges nothing for this long, where the system supports it."""
    option = getattr(sockets, "TCP_USER_TIMEOUT", None)
    raw = connection.transport.get_extra_info("socket")
    if option is not None and raw is not None and raw.family in {sockets.AF_INET, sockets.AF_INET6}:
        raw.setsockopt(sockets.IPPROTO_TCP, option, int(seconds * 1000))


async def drop_when_silent(connection: TrackedConnection, seconds: float) -> None:
    """Drop a client that sends nothing for this long, not even a pong; TCP only sees a proxy in front of it."""
    loop = asyncio.get_running_loop()
    reading_at_s = loop.time()
    while (silent_s := loop.time() - max(connection.received_at_s, reading_at_s)) < seconds:
        await asyncio.sleep(min(seconds - silent_s, seconds / 4))
        if not connection.transport.is_reading():  # paused by us, because its messages are not read
            reading_at_s = loop.time()
    log.info("silent client dropped", extra={"fields": {"seconds": round(silent_s, 1)}})
    connection.transport.abort()
