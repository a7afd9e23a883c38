"""What happens to every request before its body is read: a name, a key, a size, a free place.

Plain ASGI, because FastAPI reads a whole multipart body before anything of its own runs. A refusal
does not close the connection: the body is read past (see `unread`), and a proxy that is still sending
it sees the answer instead of a broken pipe.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import Overloaded, RetryLater, ShuttingDown, TooLarge, TranscriptionError
from app.core.options import Tier
from app.http.connection import CROWDED
from app.http.request.multipart import ENVELOPE_BYTES, too_large
from app.http.request.options import tier_of
from app.http.request.receive import content_length
from app.http.request_record import RequestRecord, record_of
from app.http.response import errors as api_errors
from app.ops.keys import KeyRing

log = logging.getLogger("app.access")

SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
QUIET = ("/health", "/metrics")


@dataclass(frozen=True, slots=True)
class RequestDetails:
    """A request that has been answered, for whoever counts.

    Attributes:
        seconds: from its head to the last byte of the answer.
    """

    path: str
    status: int
    seconds: float
    record: RequestRecord


class AccessLog:
    """Outermost: gives the request its id, writes one line about it, tells who counts."""

    def __init__(self, app: ASGIApp, *, on_done: Callable[[RequestDetails], None]) -> None:
        self._app = app
        self._on_done = on_done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        asked = Headers(scope=scope).get("x-request-id", "")
        record = RequestRecord(request_id=asked if SANE_ID.fullmatch(asked) else f"req_{uuid.uuid4().hex}")
        scope["record"] = record
        status = 0

        async def named_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = record.request_id
                headers["openai-version"] = "2020-10-01"
                headers["openai-processing-ms"] = str(round((time.monotonic() - started) * 1000))
            await send(message)

        try:
            await self._app(scope, receive, named_send)
        finally:
            details = RequestDetails(scope["path"], status, time.monotonic() - started, record)
            self._on_done(details)
            _write_line(scope["method"], details)


class UnhandledErrors:
    """Answers what nobody caught, and logs it; never raises for HTTP."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noting_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except asyncio.CancelledError:
            # The grace of the shutdown is over: say so, instead of breaking the connection.
            if not begun:
                late = ShuttingDown("The server is shutting down. Retry shortly.", retry_after_s=1)
                await api_errors.to_response(late)(scope, receive, send)
            raise
        except Exception:
            log.exception("a bug", extra={"fields": {"request_id": record_of(scope).request_id, "path": scope["path"]}})
            if begun:
                return
            message = "The server had an error while processing your request. Please report the x-request-id."
            response = api_errors.envelope(500, message, kind="server_error", headers=api_errors.NO_RETRY)
            await response(scope, receive, send)


class Gate:
    """Key, size and a free place, checked while the body is still on the wire."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        max_upload_bytes: int,
        refusal: Callable[[Tier], RetryLater | None],
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
        record_of(scope).key_id = self._keys.check(headers)
        if scope["method"] != "POST" or "/audio/" not in scope["path"]:
            return
        size = content_length(headers)
        if size is not None and size > self._max_upload_bytes + ENVELOPE_BYTES:
            raise TooLarge(too_large(self._max_upload_bytes))
        if scope.get("state", {}).get(CROWDED):
            raise Overloaded("This server has too many open connections. Retry shortly.", retry_after_s=1)
        # the field of the same name is still unread, but Vexa sends both
        refusal = self._refusal(tier_of(headers.get("x-transcription-tier")))
        if refusal is not None:
            raise refusal


class HeadAsGet:
    """Answers HEAD wherever GET is answered, as HTTP asks: the same headers, no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def bodiless_send(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, bodiless_send)


def _write_line(method: str, details: RequestDetails) -> None:
    path = details.path[:200]
    quiet = path.startswith(QUIET)  # probes come every few seconds
    fields = {
        **details.record.log_fields(),
        "method": method,
        "path": path,
        "status": details.status,
        "outcome": details.record.outcome(details.status),
        "ms": round(details.seconds * 1000),
    }
    log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})
