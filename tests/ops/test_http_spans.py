from __future__ import annotations

import pytest

from app.ops.http_spans import end_http_span, span_name, start_http_span, trace_of
from app.ops.trace_context import TraceContext
from app.ops.tracing import NO_SPAN
from tests.spans import SPAN_ID, TRACE_ID, TRACEPARENT, recorded

HEADER = (b"traceparent", TRACEPARENT.encode())


def test_the_callers_trace():
    """The header with its state; two of them are not valid, as the standard says."""
    state = [(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    assert trace_of([HEADER, *state]) == TraceContext(TRACE_ID, SPAN_ID, sampled=True, state="a=1,b=2")
    assert trace_of([HEADER, HEADER]) is None
    assert trace_of(state) is None
    assert trace_of([(b"traceparent", b"\xff\x00")]) is None


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
def test_probes_have_no_span(path: str):
    """They come every few seconds and tell nothing."""
    with recorded() as (tracer, spans):
        assert start_http_span(tracer, method="GET", path=path, headers=[HEADER], attributes={}) is NO_SPAN
    assert spans.seen() == []


@pytest.mark.parametrize(
    ("method", "status", "error", "failed"),
    [("GET", 200, None, False), ("GET", 404, None, False), ("POST", 503, None, True), ("GET", 200, "error", True)],
)
def test_the_standards_names(method: str, status: int, error: str | None, failed: bool):  # noqa: FBT001 - a table
    """Method, route and status; a server's span fails by its own errors, not by its client's."""
    with recorded() as (tracer, spans):
        span = start_http_span(tracer, method=method, path="/a/1", headers=[HEADER], attributes={"url.scheme": "http"})
        end_http_span(span, method=method, status=status, route="/a/{n}", attributes={"x": 1}, error=error)
    (seen,) = spans.seen()
    assert (seen.name, seen.trace_id, seen.failed) == (f"{method} /a/{{n}}", TRACE_ID, failed)
    error_type = {"error.type": error or str(status)} if failed else {}
    assert seen.attributes == {
        "http.request.method": method,
        "url.scheme": "http",
        "http.response.status_code": status,
        "http.route": "/a/{n}",
        "x": 1,
        **error_type,
    }


def test_a_client_cannot_invent_names():
    """Unknown methods and paths without a route share a name."""
    assert span_name("GET") == "GET"
    assert span_name("X" * 100) == "HTTP"
    with recorded() as (tracer, spans):
        span = start_http_span(tracer, method="SECRET", path="/", headers=[], attributes={})
        end_http_span(span, method="SECRET", status=0, route=None, attributes={})
    (seen,) = spans.seen()
    assert (seen.name, seen.attributes) == ("HTTP", {"http.request.method": "_OTHER"})
