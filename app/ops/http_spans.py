"""The span of an HTTP request, with the names that OpenTelemetry has for it.

Source: opentelemetry.io/docs/specs/semconv/http/http-spans (stable).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from app.ops.trace_context import TraceContext, parse
from app.ops.tracing import NO_SPAN, Attributes, Span, Tracer

# Probes and scrapes come every few seconds.
NOT_TRACED: Final = ("/health", "/metrics")
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
_SERVER_ERROR: Final = 500


def trace_of(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext | None:
    """The caller's trace; None without a valid `traceparent`. Names of headers are in lower case, as ASGI has them."""
    found: dict[bytes, list[str]] = {b"traceparent": [], b"tracestate": []}
    for name, value in headers:
        if name in found:
            found[name].append(value.decode("latin-1"))
    return parse(",".join(found[b"traceparent"]), ",".join(found[b"tracestate"]))


def start_http_span(
    tracer: Tracer, *, method: str, path: str, headers: Iterable[tuple[bytes, bytes]], attributes: Attributes
) -> Span:
    """Begin the span of a request; none for probes, which are passed by their path. The path becomes no attribute."""
    if path.startswith(NOT_TRACED):
        return NO_SPAN
    return tracer.start(
        span_name(method),
        parent=trace_of(headers),
        kind="server",
        attributes={"http.request.method": method if method in _METHODS else "_OTHER", **attributes},
    )


def end_http_span(
    span: Span, *, method: str, status: int, route: str | None, attributes: Attributes, error: str | None = None
) -> None:
    """End it.

    Args:
        span: as it was started.
        method: as it was sent.
        status: 0 if none was sent.
        route: the template of the path; None if no route answered.
        attributes: what else is known by now.
        error: the kind of a failure that the status does not show.
    """
    http: dict[str, str | int] = {} if status == 0 else {"http.response.status_code": status}
    if route is not None:
        http["http.route"] = route
    span.describe({**http, **attributes}, name=span_name(method, route))
    span.end(error=error or (str(status) if status >= _SERVER_ERROR else None))


def span_name(method: str, route: str | None = None) -> str:
    """`GET /v1/models/{model}`, or the method alone. Clients can invent paths and methods, but no names of spans."""
    known = method if method in _METHODS else "HTTP"
    return known if route is None else f"{known} {route}"
