"""What happens to every request before its body is read: a name, a key, a size, a free place.

Plain ASGI, because FastAPI reads a whole multipart body before anything of its own runs. A refusal
never says `Connection: close`: the server then drains the body, and a proxy that is still sending
it sees the answer instead of a broken pipe.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import errors as api_errors
from app.api.auth import KeyRing
from app.api.uploads import ENVELOPE_BYTES, too_large
from app.errors import RetryLater, ShuttingDown, TooLarge, TranscriptionError

log = logging.getLogger("app.access")

SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Longer numbers are no sizes; int() refuses them, and digits beyond ASCII.
SIZE = re.compile(r"[0-9]{1,18}")
QUIET = ("/health", "/metrics")


class RequestLog:
    """Outermost: gives the request its id, answers what nobody caught, writes one line about it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; never raises for HTTP."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        asked = Headers(scope=scope).get("x-request-id", "")
        request_id = asked if SANE_ID.fullmatch(asked) else f"req_{uuid.uuid4().hex}"
        fields: dict[str, object] = {"request_id": request_id}
        scope["log_fields"] = fields
        status = 0

        async def named_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["openai-version"] = "2020-10-01"
                headers["openai-processing-ms"] = str(round((time.monotonic() - started) * 1000))
            await send(message)

        try:
            await self._app(scope, receive, named_send)
        except asyncio.CancelledError:
            # The grace of the shutdown is over: say so, instead of breaking the connection.
            if status == 0:
                late = ShuttingDown("The server is shutting down. Retry shortly.", retry_after_s=1)
                await api_errors.to_response(late)(scope, receive, named_send)
            raise
        except Exception:
            log.exception("a bug", extra={"fields": {"request_id": request_id, "path": scope["path"]}})
            if status == 0:
                message = "The server had an error while processing your request. Please report the x-request-id."
                response = api_errors.envelope(500, message, kind="server_error")
                await response(scope, receive, named_send)
        finally:
            _write_line(scope, fields, status, time.monotonic() - started)


class Gate:
    """Key, size and a free place, checked while the body is still on the wire."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        max_upload_bytes: int,
        refusal: Callable[[], RetryLater | None],
    ) -> None:
        self._app = app
        self._keys = keys
        self._max_upload_bytes = max_upload_bytes
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or answer at once."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            try:
                self._check(scope)
            except TranscriptionError as refusal:
                await api_errors.to_response(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        key_id = self._keys.check(headers)
        if key_id is not None:
            scope["log_fields"]["key_id"] = key_id
        if scope["method"] != "POST" or "/audio/" not in scope["path"]:
            return
        length = headers.get("content-length", "")
        if SIZE.fullmatch(length) and int(length) > self._max_upload_bytes + ENVELOPE_BYTES:
            raise TooLarge(too_large(self._max_upload_bytes))
        refusal = self._refusal()
        if refusal is not None:
            raise refusal


def _write_line(scope: Scope, fields: dict[str, object], status: int, seconds: float) -> None:
    path = scope["path"][:200]
    quiet = path.startswith(QUIET)  # probes come every few seconds
    log.log(
        logging.DEBUG if quiet else logging.INFO,
        "request",
        extra={
            "fields": {
                **fields,
                "method": scope["method"],
                "path": path,
                "status": status,
                "ms": round(seconds * 1000),
            }
        },
    )
