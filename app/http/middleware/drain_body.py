"""Drain the body of a request that was answered early, up to a limit.

Most clients read the answer only after they have sent the body: if the connection closes earlier, they (or
a proxy) see a broken pipe instead of the refusal. uvicorn drains a body by its Content-Length. A body
without one, or with one above every limit, may never end: its answer carries `Connection: close`, and the
connection closes when the body has ended or when enough of it has been drained.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.request.receive import content_length

MAX_DRAINED_BYTES = 64 * 1024 * 1024
# Time for 25 MB at 10 Mbit/s.
MAX_DRAIN_S = 20.0


class DrainBody:
    """The outermost middleware: the answer is complete for the access log before the rest of the body is drained."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not self._may_be_endless(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        ended = early = False

        async def receive_and_note() -> Message:
            nonlocal ended
            message = await receive()
            ended = ended or message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def send_and_hold(message: Message) -> None:
            nonlocal early
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # an answer that closes the connection itself expects nothing more: the upload has stalled
                early = not ended and headers.get("connection") != "close"
                if early:
                    headers["connection"] = "close"
            await send({**message, "more_body": True} if early and message["type"] == "http.response.body" else message)

        await self._app(scope, receive_and_note, send_and_hold)
        if early:
            await _drain_body(receive)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _may_be_endless(self, headers: Headers) -> bool:
        size = content_length(headers)
        return "transfer-encoding" in headers if size is None else size > self._max_body_bytes


async def _drain_body(receive: Receive) -> None:
    """Read to the end of the body, or to the limit of bytes or time."""
    n_bytes = 0
    try:
        async with asyncio.timeout(MAX_DRAIN_S):
            while n_bytes <= MAX_DRAINED_BYTES:
                message = await receive()
                n_bytes += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
