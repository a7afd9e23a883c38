"""The last resort for exceptions: answers with a 500 in OpenAI's shape and logs the cause."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import ShuttingDown
from app.http.request_record import record_of
from app.http.response import errors as api_errors

log = logging.getLogger("app.access")


class UnhandledErrors:
    """Answer exceptions that no handler caught; only cancellation is passed on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
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
        except asyncio.CancelledError:
            # SHUTDOWN_GRACE_S is over: answer before the connection closes
            if not begun:
                late = ShuttingDown("The server is shutting down. Retry shortly.", retry_after_s=1)
                record_of(scope).error = late
                await api_errors.to_response(late)(scope, receive, send)
            raise
        except Exception:
            log.exception(
                "unhandled exception",
                extra={"fields": {"request_id": record_of(scope).request_id, "path": scope["path"]}},
            )
            if begun:
                return
            message = "The server had an error while processing your request. Please report the x-request-id."
            response = api_errors.envelope(500, message, kind="server_error", headers=api_errors.NO_RETRY)
            await response(scope, receive, send)
