from app.ops.trace_context import TraceContext
from app.ops.tracing import NO_SPAN, NO_TRACER
from tests.spans import SPAN_ID, TRACE_ID


def test_without_a_tracer_the_callers_trace_goes_on():
    """Nothing is recorded, and what the next server gets is what came: its spans become the caller's children."""
    parent = TraceContext(TRACE_ID, SPAN_ID, sampled=True, state="a=1")
    span = NO_TRACER.start("GET", parent=parent, kind="server")
    part = span.child("stt.decode", kind="client", started_s=1.0)
    part.describe({"stt.audio_s": 1.0}, name="other")
    part.end(error="failed", ended_s=2.0)
    span.end()
    NO_TRACER.close()
    assert span.context is parent
    assert part.context is parent
    assert not span.recording


def test_no_span_is_in_no_trace():
    """Where there is no trace, none begins."""
    assert NO_TRACER.start("GET", parent=None, kind="server").context is None
    assert NO_SPAN.child("stt.decode").context is None
