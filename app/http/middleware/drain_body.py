"""Read past the body of a request that was answered early, but not without end.

A client that still sends does not look for an answer: if the connection closes meanwhile, it (or a proxy) sees a
broken pipe instead of the refusal. The server reads past what a body's Content-Length announces; a body
without one, or one beyond what is ever accepted, may never end. Then the answer goes out whole, with
`Connection: close`, and the connection closes when the body has ended or enough of it has been read.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.request.receive import content_length

MAX_DRAINED_BYTES = 64 * 1024 * 1024
# 25 MB at 10 Mbit/s.
MAX_DRAIN_S = 20.0


class DrainBody:
    """Outside of everything that answers: an answer is whole for who counts its time, then the rest is read past."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not self._may_be_endless(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        ended = early = False

        async def noting_receive() -> Message:
            nonlocal ended
            message = await receive()
            ended = ended or message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def holding_send(message: Message) -> None:
            nonlocal early
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # an answer that closes the connection itself expects nothing more: the upload has stalled
                early = not ended and headers.get("connection") != "close"
                if early:
                    headers["connection"] = "close"
            await send({**message, "more_body": True} if early and message["type"] == "http.response.body" else message)

        await self._app(scope, noting_receive, holding_send)
        if early:
            await _drain_body(receive)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _may_be_endless(self, headers: Headers) -> bool:
        size = content_length(headers)
        return "transfer-encoding" in headers if size is None else size > self._max_body_bytes


async def _drain_body(receive: Receive) -> None:
    """Read to the end of the body, or as far as is bearable."""
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
