"""The outermost middleware: gives each request its id, its span and one log line, and reports it to the metrics."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.request_record import RequestRecord
from app.http.request_spans import RequestSpans
from app.ops import trace_context
from app.ops.tracing import NO_TRACER, Tracer

log = logging.getLogger("app.access")

# Ids of clients that are safe to repeat in headers and logs.
SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Probes come every few seconds: logged at debug level only.
QUIET = ("/health", "/metrics")


@dataclass(frozen=True, slots=True)
class RequestDetails:
    """A request that has been answered.

    Attributes:
        seconds: from the request's head to the last byte of its answer.
    """

    path: str
    status: int
    seconds: float
    record: RequestRecord


class AccessLog:
    """Give the request its id; afterwards log it and report it.

    Args:
        on_done: called with each request once it is answered.
        tracer: records the requests.
    """

    def __init__(self, app: ASGIApp, *, on_done: Callable[[RequestDetails], None], tracer: Tracer = NO_TRACER) -> None:
        self._app = app
        self._on_done = on_done
        self._spans = RequestSpans(tracer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        sent_id = Headers(scope=scope).get("x-request-id", "")
        record = RequestRecord(request_id=sent_id if SAFE_ID.fullmatch(sent_id) else f"req_{uuid.uuid4().hex}")
        scope["record"] = record
        span = self._spans.start(scope)
        record.trace_id = None if span.context is None else span.context.trace_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = record.request_id
                headers["openai-version"] = "2020-10-01"
                headers["openai-processing-ms"] = str(round((time.monotonic() - started) * 1000))
            await send(message)

        with trace_context.serving(span.context):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                details = RequestDetails(scope["path"], status, time.monotonic() - started, record)
                self._on_done(details)
                _write_line(scope["method"], details)
                self._spans.end(span, scope, record, status)


def _write_line(method: str, details: RequestDetails) -> None:
    path = details.path[:200]
    quiet = path.startswith(QUIET)
    fields = {
        **details.record.log_fields(),
        "method": method,
        "path": path,
        "status": details.status,
        "outcome": details.record.outcome(details.status),
        "ms": round(details.seconds * 1000),
    }
    log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})
