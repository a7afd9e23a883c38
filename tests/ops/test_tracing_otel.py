from __future__ import annotations

import logging
import threading
import time

import pytest

from app.ops import tracing_otel
from app.ops.trace_context import TraceContext
from app.ops.tracing_otel import OtelTracer, ReportingExporter
from tests.spans import SPAN_ID, TRACE_ID, SpanList, assert_nested, recorded

CALLER = TraceContext(TRACE_ID, SPAN_ID, sampled=True, state="vendor=1")


def test_spans_nest_by_parent_and_in_time():
    """A child made afterwards from recorded times lies inside its parent, whose own parent is the caller's span."""
    with recorded() as (tracer, spans):
        root = tracer.start("POST", parent=CALLER, kind="server", attributes={"url.path": "/x"})
        began_s = time.monotonic()
        ended_s = time.monotonic()
        part = root.child("stt.decode", started_s=began_s)
        part.end(ended_s=ended_s)
        root.describe({"stt.tier": "standard"}, name="POST /x")
        root.end()
    whole, decode = spans.seen()
    assert (whole.name, whole.trace_id, whole.parent_id) == ("POST /x", TRACE_ID, SPAN_ID)
    assert whole.attributes == {"url.path": "/x", "stt.tier": "standard"}
    assert (decode.trace_id, decode.parent_id, decode.failed) == (TRACE_ID, whole.span_id, False)
    assert_nested([whole, decode])
    assert root.context == TraceContext(TRACE_ID, whole.span_id, sampled=True, state="vendor=1")


def test_a_request_without_a_caller_begins_a_trace():
    """Nothing of the surrounding task leaks in: two such spans are two traces."""
    with recorded() as (tracer, spans):
        first = tracer.start("GET", parent=None, kind="server")
        second = tracer.start("GET", parent=None, kind="server")
        first.end()
        second.end()
    assert len({span.trace_id for span in spans.seen()}) == 2
    assert {span.parent_id for span in spans.seen()} == {""}


def test_a_caller_that_does_not_sample_is_followed():
    """The standard sampler obeys the caller: nothing is recorded, but the trace keeps its id for the log."""
    with recorded() as (tracer, spans):
        span = tracer.start("GET", parent=TraceContext(TRACE_ID, SPAN_ID), kind="server")
        assert not span.recording
        assert span.context is not None
        assert (span.context.trace_id, span.context.sampled) == (TRACE_ID, False)
        span.end()
    assert spans.seen() == []


@pytest.mark.parametrize("state", ["no pair", "a=1,a=1", ",".join(f"k{n}=1" for n in range(40)), "=" * 500])
def test_a_strange_tracestate_is_not_logged(state: str, caplog: pytest.LogCaptureFixture):
    """It is left out, and its text does not get into the log, which never holds what a client sent."""
    with recorded() as (tracer, _):
        span = tracer.start("GET", parent=TraceContext(TRACE_ID, SPAN_ID, state=state), kind="server")
        span.end()
    assert span.context is not None
    assert (span.context.trace_id, span.context.state) == (TRACE_ID, "")
    assert caplog.records == []


def test_the_sampler_is_the_variables(monkeypatch: pytest.MonkeyPatch):
    """OTEL_TRACES_SAMPLER is read by the SDK."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with recorded() as (tracer, spans):
        tracer.start("GET", parent=CALLER, kind="server").end()
    assert spans.seen() == []


def test_errors_and_links():
    """A failure has its kind, and a link names the span of the other trace."""
    with recorded() as (tracer, spans):
        span = tracer.start("GET", parent=None, kind="server")
        span.child("stt.batch", link=CALLER).end()
        span.end(error="rejected_busy")
    whole, batch = spans.seen()
    assert whole.failed
    assert whole.attributes["error.type"] == "rejected_busy"
    assert batch.links == (SPAN_ID,)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "test"),
        ({"OTEL_SERVICE_NAME": "dictation"}, "dictation"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=dictation,team=a"}, "dictation"),
    ],
)
def test_the_name_of_the_service(variables: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch):
    """The variables win over the process's own name."""
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    with recorded() as (tracer, spans):
        tracer.start("GET", parent=None, kind="server").end()
    assert tracer.service == name
    assert [span.service for span in spans.seen()] == [name]


def test_an_exporter_that_fails_is_one_line(caplog: pytest.LogCaptureFixture):
    """A thousand failures are one warning; a success ends it, and the next failure is reported again."""
    caplog.set_level(logging.INFO, "app.tracing")
    inner = SpanList()
    exporter = ReportingExporter(inner)
    inner.fails = True
    for _ in range(1000):
        exporter.export([])
    inner.fails = False
    exporter.export([])
    exporter.export([])
    inner.fails = True
    exporter.export([])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]


def test_a_full_queue_is_silent(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """While nothing can be sent, spans are dropped without waiting and without a line for each."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    monkeypatch.setattr(tracing_otel, "CLOSE_WITHIN_S", 0.01)
    spans = SpanList()
    spans.go.clear()
    tracer = OtelTracer("test", spans)
    for _ in range(50):
        tracer.start("GET", parent=None, kind="server").end()
    tracer.close()
    assert caplog.records == []
    spans.go.set()


def test_closing_does_not_wait_for_an_exporter_that_hangs(monkeypatch: pytest.MonkeyPatch):
    """SIGTERM ends the process within a bound, whatever the network does."""
    monkeypatch.setattr(tracing_otel, "CLOSE_WITHIN_S", 0.01)
    spans = SpanList()
    spans.go.clear()
    tracer = OtelTracer("test", spans)
    tracer.start("GET", parent=None, kind="server").end()
    tracer.close()
    assert spans.spans == []
    spans.go.set()
    for thread in threading.enumerate():
        if thread.name == "tracing-close":
            thread.join(10)
    assert [span.name for span in spans.seen()] == ["GET"]
