"""The spans of a request: one for the whole, and one for each of its stages, made when it is answered.

Never the text, the prompt, the key or the name of the file.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from starlette.types import Scope

from app.engine.stage_times import CallTimes
from app.http.request_record import RequestRecord
from app.ops.http_spans import end_http_span, start_http_span
from app.ops.trace_context import TraceContext
from app.ops.tracing import Attributes, Span, Tracer

MAX_PATH_CHARS: Final = 200
MAX_SHARED: Final = 1024  # calls whose other rows may still be under way


class RequestSpans:
    """Begins and ends the spans of requests; knows which calls of the model they shared. Lives on the event loop."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._calls: OrderedDict[int, TraceContext] = OrderedDict()  # by number: the first span of a shared call

    def start(self, scope: Scope) -> Span:
        """Begin the span of a request."""
        path: str = scope["path"]
        return start_http_span(
            self._tracer,
            method=scope["method"],
            path=path,
            headers=scope["headers"],
            attributes={"url.path": path[:MAX_PATH_CHARS], "url.scheme": scope["scheme"]},
        )

    def end(self, span: Span, scope: Scope, record: RequestRecord, status: int) -> None:
        """End it, with a child for each stage."""
        if not span.recording:
            return
        for stage in record.times.stages:
            span.child(f"stt.{stage.name}", started_s=stage.started_s).end(ended_s=stage.ended_s)
        for call in record.times.calls():
            self._add_call(span, call)
        outcome = record.outcome(status)
        end_http_span(
            span,
            method=scope["method"],
            status=status,
            route=getattr(scope.get("route"), "path", None),
            attributes={"stt.outcome": outcome, **_attributes(record)},
            error="error" if outcome == "error" else None,
        )

    def _add_call(self, span: Span, call: CallTimes) -> None:
        """One call of the model, linked to the first span of the same call in another request."""
        attributes: Attributes = {
            "stt.call": call.kind,
            "stt.batch.rows": call.rows,
            "stt.batch.wait_s": round(call.waited_s, 4),
        }
        shared = self._calls.get(call.number)
        part = span.child("stt.batch", attributes=attributes, started_s=call.started_s, link=shared)
        part.end(ended_s=call.ended_s)
        if shared is None and call.rows > 1 and part.context is not None:
            self._calls[call.number] = part.context
            if len(self._calls) > MAX_SHARED:
                self._calls.popitem(last=False)


def _attributes(record: RequestRecord) -> Attributes:
    """What is known of the audio and the work at the end of a request."""
    attributes: dict[str, str | int | float | bool] = {}
    if record.times.stages:
        attributes |= {"stt.tier": record.tier, "stt.stream": record.stream}
    if record.info is not None:
        attributes |= {"stt.audio_s": round(record.info.duration_s, 2), "stt.language": record.info.language}
    if record.times.n_calls:
        attributes |= {
            "stt.windows": record.times.n_windows,
            "stt.calls": record.times.n_calls,
            "stt.batch.wait_s": round(record.times.waited_s, 4),
        }
    return attributes
