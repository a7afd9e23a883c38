"""The outermost middleware: one log line and one span for each request, its duration in the metrics, and its id.

Both name the route, never the address: that may hold a key, and names a room whose meeting may be deleted later.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.collector.metrics import CollectorMetrics
from app.ops.http_spans import end_http_span, start_http_span
from app.ops.trace_context import serving
from app.ops.tracing import NO_TRACER, Tracer

log = logging.getLogger("app.access")

SAFE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
QUIET: Final = ("/health", "/metrics")  # probes come every few seconds: logged at debug level only
NO_ROUTE: Final = "other"


class AccessLog:
    """Give the request its id and its span; afterwards log and measure it."""

    def __init__(self, app: ASGIApp, *, metrics: CollectorMetrics, tracer: Tracer = NO_TRACER) -> None:
        self._app = app
        self._tracer = tracer
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        method = scope["method"]
        sent_id = Headers(scope=scope).get("x-request-id", "")
        request_id = sent_id if SAFE_ID.fullmatch(sent_id) else f"req_{uuid.uuid4().hex}"
        scope["request_id"] = request_id
        span = start_http_span(
            self._tracer,
            method=method,
            path=scope["path"],
            headers=scope["headers"],
            attributes={"url.scheme": scope["scheme"]},
        )
        status = 0
        streamed_s: float | None = None  # a live stream lasts as long as its reader stays: its start is measured

        async def send_with_id(message: Message) -> None:
            nonlocal status, streamed_s
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if headers.get("content-type", "").startswith("text/event-stream"):
                    streamed_s = time.monotonic() - started
            await send(message)

        with serving(span.context):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                seconds = time.monotonic() - started
                route = route_of(scope)
                self._metrics.http_s.labels(route).observe(seconds if streamed_s is None else streamed_s)
                fields = {
                    "request_id": request_id,
                    "method": method[:20],
                    "route": route,
                    "status": status,
                    "ms": round(seconds * 1000),
                }
                quiet = route.startswith(QUIET)
                log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})
                end_http_span(
                    span, method=method, status=status, route=None if route == NO_ROUTE else route, attributes={}
                )


def route_of(scope: Scope) -> str:
    """The template of the route that answered, such as `/meetings/{meeting_id}`; clients can invent paths only."""
    return getattr(scope.get("route"), "path", NO_ROUTE)
