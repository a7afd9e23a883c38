"""What tests see of spans: a list in this process, or a server that takes them as an OpenTelemetry collector does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from app.ops.tracing_otel import OtelTracer

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


@dataclass(frozen=True, slots=True)
class Seen:
    """One span, wherever it was seen."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    started_ns: int
    ended_ns: int
    attributes: dict[str, Any]
    failed: bool
    service: str
    links: tuple[str, ...] = ()  # ids of spans


class SpanList(SpanExporter):
    """Keeps spans, or fails; `go` holds it back while it is not set."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.fails = False
        self.go = threading.Event()
        self.go.set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take them."""
        self.go.wait()
        if self.fails:
            return SpanExportResult.FAILURE
        self.spans += spans
        return SpanExportResult.SUCCESS

    def seen(self) -> list[Seen]:
        """All of them, by their beginning."""
        return sorted(map(_read, self.spans), key=lambda span: span.started_ns)


@contextmanager
def recorded() -> Iterator[tuple[OtelTracer, SpanList]]:
    """A tracer, and the list that its spans are in once the tracer is closed."""
    spans = SpanList()
    tracer = OtelTracer("test", spans)
    try:
        yield tracer, spans
    finally:
        tracer.close()


def _read(span: ReadableSpan) -> Seen:
    assert span.start_time is not None
    assert span.end_time is not None
    context = span.get_span_context()
    assert context is not None
    return Seen(
        name=span.name,
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id="" if span.parent is None else f"{span.parent.span_id:016x}",
        started_ns=span.start_time,
        ended_ns=span.end_time,
        attributes=dict(span.attributes or {}),
        failed=not span.status.is_ok and not span.status.is_unset,
        service=str(span.resource.attributes["service.name"]),
        links=tuple(f"{link.context.span_id:016x}" for link in span.links),
    )


@dataclass(slots=True)
class OtlpServer:
    """An OTLP/HTTP endpoint; `bodies` are the requests as they came, `status` is what it answers."""

    port: int
    spans: list[Seen] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: int = 200

    @property
    def url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self, ready: Callable[[list[Seen]], bool], *, timeout_s: float = 20.0) -> list[Seen]:
        """The spans, by their beginning, as soon as they are complete."""
        give_up_s = time.monotonic() + timeout_s
        while not ready(self.spans):
            assert time.monotonic() < give_up_s, [span.name for span in self.spans]
            time.sleep(0.05)
        return sorted(self.spans, key=lambda span: span.started_ns)


@contextmanager
def otlp_server() -> Iterator[OtlpServer]:
    """Take spans until the block ends."""
    found: list[OtlpServer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Read one export."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found[0].bodies.append(body)
            if self.path == "/v1/traces" and found[0].status == 200:
                found[0].spans += _decode(body)
            self.send_response(found[0].status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.append(OtlpServer(server.server_address[1]))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _decode(body: bytes) -> Iterator[Seen]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    started_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    failed=span.status.code == 2,
                    service=service,
                    links=tuple(link.span_id.hex() for link in span.links),
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def assert_nested(spans: Sequence[Seen], *, tolerance_ns: int = 0) -> None:
    """Each span whose parent is among them lies inside it."""
    by_id = {span.span_id: span for span in spans}
    for span in spans:
        assert span.started_ns <= span.ended_ns, span
        parent = by_id.get(span.parent_id)
        if parent is not None:
            assert parent.started_ns - tolerance_ns <= span.started_ns, (span, parent)
            assert span.ended_ns <= parent.ended_ns + tolerance_ns, (span, parent)
