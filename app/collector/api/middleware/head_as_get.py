"""HEAD wherever GET is answered, as RFC 9110 requires."""

from __future__ import annotations

import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _Answered(Exception):
    """The head has been sent; nobody reads the rest."""


class HeadAsGet:
    """Answer HEAD like GET: the same status and headers, no body. A stream is left at its first piece."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            scope["method"] = "HEAD"  # the server reads it to know whether the announced body must follow
            if message["type"] != "http.response.body":
                await send(message)
                return
            await send({"type": "http.response.body", "body": b""})
            if message.get("more_body", False):
                raise _Answered

        scope["method"] = "GET"  # in place: the middleware outside reads the route from it
        with contextlib.suppress(_Answered):
            await self._app(scope, receive, send_without_body)
