from __future__ import annotations

import asyncio
import json
import logging

import pytest

from app.engine.build import build_engine
from app.engine.fake import FakeEngine
from app.engine.stage_times import CallTimes
from app.http.request_record import RequestRecord
from app.http.request_spans import MAX_SHARED, RequestSpans
from app.ops.logs import JsonFormatter
from app.ops.trace_context import new_context
from app.ops.tracing import PassedOn
from tests.clients import (
    FILE_PART,
    MODEL,
    MODEL_PART,
    MULTIPART,
    PATH,
    Exchange,
    Worker,
    body_of,
    settings_for_test,
    tone_wav,
    until,
    worker,
)
from tests.fakes import BrokenEngine, HeldEngine
from tests.samples import beginning
from tests.spans import SPAN_ID, TRACE_ID, TRACEPARENT, Seen, assert_nested, recorded

CALLER = {"traceparent": TRACEPARENT}


def stages(spans: list[Seen]) -> list[str]:
    """The names of all spans but the first, which is the request's."""
    return [span.name for span in spans[1:]]


async def test_a_request_is_a_span_with_its_stages():
    """One server span in the caller's trace, its stages inside it and in order, and nothing that somebody said."""
    file = {"file": ("secret-name.wav", tone_wav(65.0), "audio/wav")}
    fields = {**MODEL, "prompt": "secret-prompt", "hotwords": "secret-word", "language": "en"}
    with recorded() as (tracer, found):
        async with worker(api_keys="secret-key", tracer=tracer) as running:
            answer = await running.client.post(
                f"{PATH}?api_key=secret-query",
                files=file,
                data=fields,
                headers={**CALLER, "Authorization": "Bearer secret-key"},
            )
            await running.client.get("/health", headers=CALLER)
            await running.client.get("/metrics", headers=CALLER)
    assert "word0001" in answer.text
    spans = found.seen()
    whole = spans[0]
    assert (whole.name, whole.trace_id, whole.parent_id) == (f"POST {PATH}", TRACE_ID, SPAN_ID)
    assert stages(spans) == ["stt.upload", "stt.queue", "stt.decode", *["stt.batch"] * 3, "stt.format"]
    assert {span.parent_id for span in spans[1:]} == {whole.span_id}
    assert_nested(spans)
    ends = [span.ended_ns for span in spans[1:]]
    assert ends == sorted(ends)
    assert whole.attributes.pop("stt.batch.wait_s") == 0.0
    assert whole.attributes == {
        "http.request.method": "POST",
        "http.route": PATH,
        "http.response.status_code": 200,
        "url.path": PATH,
        "url.scheme": "http",
        "stt.outcome": "ok",
        "stt.tier": "standard",
        "stt.stream": False,
        "stt.audio_s": 65.0,
        "stt.language": "en",
        "stt.windows": 3,
        "stt.calls": 3,
    }
    everything = json.dumps([(span.name, span.attributes) for span in spans])
    assert not any(word in everything for word in ("secret", "word0"))


async def test_a_real_model_tells_of_its_calls():
    """Encoding and decoding are calls, each with its rows and its wait."""
    settings = settings_for_test(model_size="demo", device="cpu")
    with recorded() as (tracer, found):
        async with worker(await asyncio.to_thread(build_engine, settings), tracer=tracer) as running:
            files = {"file": ("a.wav", beginning("en-00.wav", 30.0), "audio/wav")}
            assert (await running.client.post(PATH, files=files, data={**MODEL, "language": "en"})).status_code == 200
    spans = found.seen()
    calls = [span for span in spans if span.name == "stt.batch"]
    assert [call.attributes["stt.call"] for call in calls] == ["encode", "generate"]
    assert {call.attributes["stt.batch.rows"] for call in calls} == {1}
    assert (spans[0].attributes["stt.windows"], spans[0].attributes["stt.calls"]) == (1, 2)
    assert_nested(spans)


async def test_a_stream_is_one_span_to_its_end():
    """The span of a streamed answer ends with the stream, not with its headers."""
    with recorded() as (tracer, found):
        async with worker(tracer=tracer) as running:
            answer = await running.transcribe(stream="true")
    assert answer.text.endswith("[DONE]\n\n")
    spans = found.seen()
    assert stages(spans) == ["stt.upload", "stt.queue", "stt.decode", "stt.batch"]
    assert spans[0].attributes["stt.stream"] is True
    assert spans[0].attributes["stt.audio_s"] == 2.0
    assert_nested(spans)


async def test_failures_show_how_far_they_came():
    """Audio that cannot be decoded ends in that stage; the client's mistake is not the server's failure."""
    with recorded() as (tracer, found):
        async with worker(tracer=tracer) as running:
            files = {"file": ("a.wav", b"RIFF no audio", "audio/wav")}
            assert (await running.client.post(PATH, files=files, data=MODEL)).status_code == 400
        async with worker(BrokenEngine(), tracer=tracer) as running:
            assert (await running.transcribe()).status_code == 500
    first, second = (span for span in found.seen() if span.parent_id == "")
    assert (first.attributes["stt.outcome"], first.failed) == ("invalid_audio", False)
    assert [span.name for span in found.seen() if span.parent_id == first.span_id][-1] == "stt.decode"
    assert (second.attributes["error.type"], second.failed) == ("error", True)


async def test_a_client_that_leaves_is_a_span():
    """Its stages end with it."""
    held = HeldEngine()
    with recorded() as (tracer, found):
        async with worker(held, tracer=tracer) as running:
            exchange = _upload(running)
            task = asyncio.create_task(exchange.run())
            await until(lambda: bool(held.received))
            exchange.hang_up()
            await task
    spans = found.seen()
    assert spans[0].attributes["stt.outcome"] == "cancelled"
    assert stages(spans) == ["stt.upload", "stt.queue"]
    assert_nested(spans)


def _upload(running: Worker) -> Exchange:
    exchange = Exchange(running.app, [(b"content-type", MULTIPART)])
    exchange.feed(body_of(FILE_PART, MODEL_PART))
    return exchange


async def test_without_a_tracer_the_log_line_has_the_callers_trace(caplog: pytest.LogCaptureFixture):
    """And the record, which the metrics use; a malformed header is as none at all."""
    caplog.set_level(logging.INFO, "app.access")
    formatter = JsonFormatter()
    lines: list[dict[str, object]] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(formatter.format(record)))  # type: ignore[method-assign]
    logging.getLogger("app.access").addHandler(handler)
    try:
        async with worker(FakeEngine()) as running:
            await running.client.get("/v1/models", headers=CALLER)
            await running.client.get("/v1/models", headers={"traceparent": TRACEPARENT + '-x"}'})
            await running.client.get("/v1/models", headers=[("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)])
            await running.client.get("/v1/models")
    finally:
        logging.getLogger("app.access").removeHandler(handler)
    assert [line.get("trace_id") for line in lines] == [TRACE_ID, None, None, None]


def test_requests_that_share_a_call_are_linked():
    """The second request's span of a call names the first one's; memory for that is bounded."""
    scope = {"type": "http", "method": "POST", "path": PATH, "scheme": "http", "headers": []}
    with recorded() as (tracer, found):
        spans = RequestSpans(tracer)
        for _ in range(2):
            record = RequestRecord(request_id="r")
            span = spans.start(scope)
            for number, rows in ((1, 2), (2, 1)):
                record.times.add_call(CallTimes(number, "generate", rows, 0.0, float(number), number + 0.5))
            spans.end(span, scope, record, 200)
        for number in range(3, 3 + 2 * MAX_SHARED):
            spans._add_call(PassedOn(new_context()), CallTimes(number, "generate", 2, 0.0, 1.0, 2.0))
        assert len(spans._calls) == MAX_SHARED
    shared, linked, *alone = (span for span in found.seen() if span.name == "stt.batch")
    assert (shared.links, linked.links) == ((), (shared.span_id,))
    assert [span.links for span in alone] == [(), ()]
    assert shared.trace_id != linked.trace_id
