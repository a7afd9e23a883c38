"""Spans by the OpenTelemetry SDK, sent with OTLP over HTTP by a thread of its own.

Only `tracing_setup` imports this file, when it is asked for. The SDK reads its settings from OTEL_* variables.
An exporter that fails costs no request anything: spans wait in a queue of fixed length, then they are dropped.
Source: opentelemetry.io/docs/languages/python, docs/specs/otel/trace.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from app.ops.trace_context import TraceContext
from app.ops.tracing import NO_ATTRIBUTES, Attributes, Kind, Span
from app.ops.version import VERSION

log = logging.getLogger("app.tracing")

# Of the time between SIGTERM and the end of the process.
CLOSE_WITHIN_S: Final = 2.0
REPEAT_S: Final = 600.0
# They log every try, every span that a full queue drops, and every `tracestate` that is not well-formed.
_TALKATIVE: Final = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "opentelemetry.trace")
_KINDS: Final[dict[Kind, trace.SpanKind]] = {
    "internal": trace.SpanKind.INTERNAL,
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
}


class OtelTracer:
    """The tracer of one process.

    Args:
        service: its name unless a variable gives another.
        exporter: takes the spans; the standard one by default.

    Raises:
        ValueError: the value of a variable cannot be used.
    """

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        resource = Resource.create()
        own = {SERVICE_VERSION: VERSION}
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            own[SERVICE_NAME] = service
        resource = Resource({**resource.attributes, **own})
        self.service = str(resource.attributes[SERVICE_NAME])
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(ReportingExporter(exporter or OTLPSpanExporter())))
        self._tracer = self._provider.get_tracer("app", VERSION)

    def start(
        self, name: str, *, parent: TraceContext | None, kind: Kind, attributes: Attributes = NO_ATTRIBUTES
    ) -> Span:
        """See `Tracer`; the sampler of the variables decides whether it is recorded."""
        # one difference of the clocks for the whole span: its children stay inside it when the clock is set
        offset_ns = time.time_ns() - time.monotonic_ns()
        span = self._tracer.start_span(
            name,
            context=Context() if parent is None else trace.set_span_in_context(_remote(parent), Context()),
            kind=_KINDS[kind],
            attributes=attributes,
            start_time=time.monotonic_ns() + offset_ns,
        )
        return OtelSpan(self._tracer, span, offset_ns)

    def close(self) -> None:
        """Send what is left, for CLOSE_WITHIN_S at most."""
        thread = threading.Thread(target=self._provider.shutdown, name="tracing-close", daemon=True)
        thread.start()
        thread.join(CLOSE_WITHIN_S)


class OtelSpan:
    """See `Span`.

    Args:
        tracer: starts its children.
        span: the SDK's span.
        offset_ns: what makes a time of day of a monotonic time.
    """

    def __init__(self, tracer: trace.Tracer, span: trace.Span, offset_ns: int) -> None:
        self._tracer = tracer
        self._span = span
        self._offset_ns = offset_ns
        found = span.get_span_context()
        self.context = TraceContext(
            trace.format_trace_id(found.trace_id),
            trace.format_span_id(found.span_id),
            sampled=found.trace_flags.sampled,
            state=found.trace_state.to_header(),
        )

    @property
    def recording(self) -> bool:
        """See `Span.recording`."""
        return self._span.is_recording()

    def child(
        self,
        name: str,
        *,
        kind: Kind = "internal",
        attributes: Attributes = NO_ATTRIBUTES,
        started_s: float | None = None,
        link: TraceContext | None = None,
    ) -> Span:
        """See `Span.child`."""
        span = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(self._span, Context()),
            kind=_KINDS[kind],
            attributes=attributes,
            links=() if link is None else (trace.Link(_remote(link).get_span_context()),),
            start_time=self._at_ns(started_s),
        )
        return OtelSpan(self._tracer, span, self._offset_ns)

    def describe(self, attributes: Attributes, *, name: str | None = None) -> None:
        """See `Span.describe`."""
        self._span.set_attributes(attributes)
        if name is not None:
            self._span.update_name(name)

    def end(self, *, error: str | None = None, ended_s: float | None = None) -> None:
        """See `Span.end`."""
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end(self._at_ns(ended_s))

    def _at_ns(self, at_s: float | None) -> int:
        """Nanoseconds since 1970 of a monotonic time; None is now."""
        return (time.monotonic_ns() if at_s is None else round(at_s * 1e9)) + self._offset_ns


class ReportingExporter(SpanExporter):
    """Says in one line that spans cannot be sent, again after ten minutes, and when that is over."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._reported_s: float | None = None
        self._n_lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them; called on the thread of the SDK."""
        result = self._exporter.export(spans)
        now_s = time.monotonic()
        if result is not SpanExportResult.SUCCESS:
            self._n_lost += len(spans)
            if self._reported_s is None or now_s - self._reported_s >= REPEAT_S:
                self._reported_s = now_s
                log.warning(
                    "spans cannot be sent to OTEL_EXPORTER_OTLP_ENDPOINT; requests go on",
                    extra={"fields": {"lost_spans": self._n_lost}},
                )
        elif self._reported_s is not None:
            log.info("spans are sent again", extra={"fields": {"lost_spans": self._n_lost}})
            self._reported_s, self._n_lost = None, 0
        return result

    def shutdown(self) -> None:
        """Close its connections."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what it holds."""
        return self._exporter.force_flush(timeout_millis)


def _remote(context: TraceContext) -> trace.NonRecordingSpan:
    """The span of another server, as the SDK wants it."""
    return trace.NonRecordingSpan(
        trace.SpanContext(
            int(context.trace_id, 16),
            int(context.span_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED if context.sampled else trace.TraceFlags.DEFAULT),
            trace_state=trace.TraceState.from_header([context.state]) if context.state else trace.TraceState(),
        )
    )
