"""The door: WebSockets on any path, /health and /metrics beside them, keys, and an orderly stop.

The only file that knows the websocket library. Messages are bounded before they are held, nothing is
compressed (audio does not, and a small frame may inflate to a large one), and pings keep proxies
awake. A particular pong is not waited for: a slow but living client may sit behind seconds of its own
audio. Any byte is a sign of life; who gives none is dropped, also where a proxy in front is alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import socket as sockets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from app.live.gateway import Gateway
from app.live.protocols.whisperlive.frames import MAX_HANDSHAKE_CHARS
from app.live.session.connection import Disconnected

log = logging.getLogger(__name__)

QUEUED_FRAMES = 8  # with max_frame_bytes this bounds what one client can make us hold unread
FIRST_MESSAGE_BYTES = 2 * MAX_HANDSHAKE_CHARS  # the library says nothing to who sends more; we say what is too much
WRITE_BUFFER_BYTES = 65_536
CLOSE_TIMEOUT_S = 5.0
OPEN_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How the gateway listens."""

    host: str = "127.0.0.1"
    port: int = 9090
    keys: Sequence[str] = ()
    max_frame_bytes: int = 2 * 2**20
    ping_interval_s: float = 20.0
    dead_peer_s: float = 60.0


class TrackedConnection(ServerConnection):
    """The library's connection, knowing when its client was last heard."""

    heard_s = 0.0

    def data_received(self, data: bytes) -> None:
        """Bytes of a frame, a pong, anything."""
        self.heard_s = self.loop.time()
        super().data_received(data)


class WebSocket:
    """The library's connection as a session wants it: after the first message, no larger one than a frame may be."""

    def __init__(self, connection: ServerConnection, max_frame_bytes: int) -> None:
        self._connection = connection
        self._max_frame_bytes = max_frame_bytes
        self._greeted = False

    async def receive(self) -> str | bytes:
        """The next message. Raises Gone."""
        try:
            message = await self._connection.recv()
        except ConnectionClosed as closed:
            raise Disconnected from closed
        except UnicodeDecodeError as invalid:  # the library closes with 1007 itself
            raise Disconnected from invalid
        if self._greeted and len(message) > self._max_frame_bytes:  # it was on its way with the first one
            await self.close(1009, "frame too large")
            raise Disconnected
        self._greeted = True
        self._connection.protocol.max_message_size = self._max_frame_bytes  # before the next one is held in memory
        return message

    async def send(self, text: str) -> None:
        """Send one text message; waits while the client does not read. Raises Gone."""
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

    async def handle(connection: ServerConnection) -> None:
        notice_dead_peers(connection, options.dead_peer_s)
        watch = asyncio.create_task(
            drop_when_silent(cast("TrackedConnection", connection), options.ping_interval_s + options.dead_peer_s)
        )
        try:
            await gateway.serve(WebSocket(connection, options.max_frame_bytes))
        except Exception:
            log.exception("connection failed")
            await connection.close(1011, "internal error")
        finally:
            watch.cancel()

    def admit(connection: ServerConnection, request: Request) -> Response | None:
        return answer_http(gateway, options, connection, request)

    server = await serve(
        handle,
        options.host,
        options.port,
        create_connection=TrackedConnection,
        process_request=admit,
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
        logger=logging.getLogger("app.live.websocket"),
        backlog=512,
    )
    try:
        yield server
    finally:
        server.close(close_connections=False)
        await gateway.drain()
        server.close()
        for connection in server.all_connections:  # who has not even said hello is not waited for
            connection.transport.abort()
        await server.wait_closed()


def answer_http(
    gateway: Gateway, options: ServerOptions, connection: ServerConnection, request: Request
) -> Response | None:
    """Plain HTTP, or a refusal; None lets the WebSocket open."""
    path = urlsplit(request.path).path.rstrip("/")
    if "upgrade" not in request.headers.get("Connection", "").lower():
        if path == "/health":
            status = HTTPStatus.SERVICE_UNAVAILABLE if gateway.draining else HTTPStatus.OK
            return reply(status, "application/json", json.dumps(gateway.health()).encode())
        if path == "/metrics":
            return reply(HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", gateway.metrics_text())
        return None  # the library answers 426
    if gateway.draining:
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "The gateway is stopping; connect again.\n")
    if options.keys and not is_known(presented_key(request), options.keys):
        response = connection.respond(
            HTTPStatus.UNAUTHORIZED, "A key is needed: bearer header, subprotocol or ?token=.\n"
        )
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    return None


def presented_key(request: Request) -> str:
    """The key a client shows: header, `?token=`, or the subprotocols bearer and key; empty if none."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    if "X-API-Key" in request.headers:
        return request.headers["X-API-Key"].strip()
    offered = [part.strip() for line in request.headers.get_all("Sec-WebSocket-Protocol") for part in line.split(",")]
    if len(offered) > 1 and offered[0].lower() == "bearer":
        return offered[1]
    query = parse_qs(urlsplit(request.path).query)
    return next(iter(query.get("token", [])), "")


def is_known(key: str, keys: Sequence[str]) -> bool:
    """Compare with every key in constant time."""
    digest = sha256(key.encode()).digest()
    return any([hmac.compare_digest(digest, sha256(known.encode()).digest()) for known in keys])  # noqa: C419  all are compared


def choose_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:  # noqa: ARG001  the library's signature
    """A browser that shows its key in the subprotocols needs one of them back, never the key."""
    return next((name for name in offered if name.lower() == "bearer"), None)


def reply(status: HTTPStatus, media_type: str, body: bytes) -> Response:
    """A whole HTTP answer."""
    headers = Headers({"Content-Type": media_type, "Content-Length": str(len(body)), "Connection": "close"})
    return Response(status.value, status.phrase, headers, body)


def notice_dead_peers(connection: ServerConnection, seconds: float) -> None:
    """Let TCP give up on a peer that acknowledges nothing for this long, where the system can."""
    option = getattr(sockets, "TCP_USER_TIMEOUT", None)
    raw = connection.transport.get_extra_info("socket")
    if option is not None and raw is not None and raw.family in {sockets.AF_INET, sockets.AF_INET6}:
        raw.setsockopt(sockets.IPPROTO_TCP, option, int(seconds * 1000))


async def drop_when_silent(connection: TrackedConnection, seconds: float) -> None:
    """Drop a client that sends nothing for this long, not even a pong; TCP sees only the proxy in front of it."""
    loop = asyncio.get_running_loop()
    listened_s = loop.time()
    while (silent_s := loop.time() - max(connection.heard_s, listened_s)) < seconds:
        await asyncio.sleep(min(seconds - silent_s, seconds / 4))
        if not connection.transport.is_reading():  # it is we who do not listen
            listened_s = loop.time()
    log.info("client fell silent", extra={"seconds": round(silent_s, 1)})
    connection.transport.abort()
