"""The last resort for exceptions: a 500 for the client, and a log line without the exception's message.

A message of a database driver may hold what somebody said, so the log names the type and the line of code only.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.collector.api.errors import answer
from app.collector.api.middleware.access_log import route_of
from app.collector.errors import DatabaseAway
from app.collector.failures import describe

log = logging.getLogger("app.access")

INTERNAL_ERROR: Final = 1011  # RFC 6455, 7.4.1


class UnhandledErrors:
    """Answer exceptions that no handler caught; only cancellation is passed on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. An answer that breaks off is left incomplete, so that its reader notices."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - a stranger's exception must not reach the client
            if _is_away(error):
                log.warning("answer broken off: the database is away", extra={"fields": _where(scope)})
            else:
                log.error("unhandled exception", extra={"fields": {**describe(error), **_where(scope)}})  # noqa: TRY400
            if not begun:
                detail = "The server failed to answer. Please report the x-request-id."
                await answer(500, detail)(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket; the server closes it, with 1011 if that did not happen before."""
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the server would log the message, which may hold text
            log.error("unhandled exception", extra={"fields": {**describe(error), **_where(scope)}})  # noqa: TRY400
            with contextlib.suppress(RuntimeError, OSError):  # it is closed already
                await send({"type": "websocket.close", "code": INTERNAL_ERROR})


def _is_away(error: Exception) -> bool:
    """The framework wraps an error whose handler comes too late, because the answer has begun."""
    return isinstance(error, DatabaseAway) or isinstance(error.__cause__, DatabaseAway)


def _where(scope: Scope) -> dict[str, str]:
    return {"request_id": scope.get("request_id", ""), "route": route_of(scope)}
