import asyncio
import io
import wave
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.live.policy.windows import LiveWindow
from app.live.remote import (
    MIN_WAV_SAMPLES,
    Busy,
    Rejected,
    RemoteError,
    RemoteOptions,
    RemoteTranscriber,
    TimedOut,
    Unavailable,
    encode_wav,
    retry_after_s,
)
from app.ops.trace_context import TraceContext
from app.ops.tracing import PassedOn
from tests.live import virtual
from tests.spans import SPAN_ID, TRACE_ID, TRACEPARENT, assert_nested, recorded

URL = "http://service/v1/audio/transcriptions"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def window(**changes):
    """A second of audio."""
    fields: dict[str, Any] = {
        "number": 3,
        "start": 0,
        "end": 16_000,
        "pcm": b"\1\0" * 16_000,
        "reason": "step",
        "prompt": "",
        "language": None,
    }
    return LiveWindow(**(fields | changes))


def ask(handler, *, call=None, timeout_s=5.0, **changes):
    """One request to `handler`; returns (hypothesis or error, outcomes)."""
    outcomes = []

    async def main():
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
            remote = RemoteTranscriber(
                client,
                url=URL,
                api_key="secret",
                timeout_s=timeout_s,
                on_answer=lambda outcome, seconds: outcomes.append((outcome, seconds)),
            )
            try:
                return await remote.transcribe(window(**changes), call or RemoteOptions(request_id="s1"))
            except RemoteError as error:
                return error

    return virtual.run(main()), outcomes


def answering(status, *, headers=None, json=None, content=None):
    """A service that always gives this answer."""
    return lambda request: httpx.Response(status, headers=headers, json=json, content=content)


def test_request_is_what_the_service_expects():
    """Multipart with a WAV file, word and segment times, the realtime tier, the key, and an id per request."""
    seen = []

    def handle(request):
        seen.append((request.headers, request.read()))
        return httpx.Response(200, json={"text": "", "segments": [], "language": "en"})

    ask(handle, language="de", prompt="Vexa", call=RemoteOptions(task="translate", tier="deferred", request_id="s1"))
    headers, body = seen[0]
    assert headers["authorization"] == "Bearer secret"
    assert headers["x-request-id"] == "s1-3"
    for name, value in {
        "model": "default",
        "temperature": "0",
        "response_format": "verbose_json",
        "timestamp_granularities": "segment",
        "transcription_tier": "deferred",
        "language": "de",
        "prompt": "Vexa",
        "task": "translate",
    }.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body
    assert b'name="timestamp_granularities"\r\n\r\nword\r\n' in body
    assert b'filename="audio.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF' in body


def test_absent_options_are_not_sent():
    """No language, no prompt and no task means that the fields are absent, not empty."""
    bodies = []

    def handle(request):
        bodies.append(request.read())
        return httpx.Response(200, json={"segments": []})

    ask(handle)
    names = ("language", "prompt", "task", "vad_filter")
    assert not any(f'name="{name}"'.encode() in bodies[0] for name in names)


def test_a_second_request_goes_without_voice_activity_detection():
    """Only a window that says so has the field; otherwise the service's setting holds."""
    bodies = []

    def handle(request):
        bodies.append(request.read())
        return httpx.Response(200, json={"segments": []})

    ask(handle, vad_filter=False)
    assert b'name="vad_filter"\r\n\r\nfalse\r\n' in bodies[0]


def test_answer_is_read():
    """A transcript becomes words."""
    hypothesis, outcomes = ask(
        answering(200, json={"segments": [{"text": " Hi", "start": 0, "end": 0.5}], "language": "en"})
    )
    assert [word.text for word in hypothesis.words] == [" Hi"]
    assert outcomes[0][0] == "ok"


@pytest.mark.parametrize("status", [429, 503])
def test_busy_says_when(status):
    """Both busy answers, 503 and 429, have the time to wait."""
    error, outcomes = ask(answering(status, headers={"Retry-After": "3"}))
    assert isinstance(error, Busy)
    assert error.retry_after_s == 3.0
    assert outcomes[0][0] == "busy"


@pytest.mark.parametrize(
    ("header", "seconds"), [("0", 0.5), ("600", 10.0), (None, 1.0), ("soon", 1.0), ("9" * 400, 10.0), ("9" * 5000, 1.0)]
)
def test_retry_after_is_bounded(header, seconds):
    """At least half a second, at most the configured limit; one second if it is absent or unreadable."""
    error, _ = ask(answering(503, headers={"Retry-After": header} if header else {}))
    assert error.retry_after_s == seconds


def test_retry_after_may_be_a_date():
    """HTTP allows a date instead of seconds."""
    assert retry_after_s("Thu, 01 Jan 2026 00:00:07 GMT", now=NOW) == 7.0
    assert retry_after_s("Wed, 31 Dec 2025 00:00:00 GMT", now=NOW) == 0.0


@pytest.mark.parametrize("status", [500, 502, 504, 408])
def test_server_trouble_may_pass(status):
    """Failures of the service are temporary; after a 408 or 504 a shorter window may succeed."""
    error, _ = ask(answering(status))
    assert isinstance(error, Unavailable)
    assert isinstance(error, TimedOut) == (status in {408, 504})


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "audio"), (413, "audio"), (422, "audio"), (401, "setup"), (404, "setup")]
)
def test_permanent_refusals_are_distinguished(status, kind):
    """Some are about this audio, others about the gateway's own settings."""
    error, outcomes = ask(answering(status))
    assert isinstance(error, Rejected)
    assert error.kind == kind
    assert outcomes[0][0] == f"rejected_{kind}"


@pytest.mark.parametrize("content", [b"[" * 200_000, b"null", b'{"error": {"param": ["file"]}}'])
def test_a_refusal_with_an_unreadable_body_is_a_refusal(content):
    """A 400 with an unreadable body is still a rejection."""
    error, _ = ask(answering(400, content=content))
    assert isinstance(error, Rejected)


@pytest.mark.parametrize(
    ("param", "kind"),
    [("language", "language"), ("file", "audio"), (None, "audio"), ("prompt", "setup"), ("model", "setup")],
)
def test_the_field_at_fault_gives_the_kind_of_a_400(param, kind):
    """A rejected language is not rejected audio: no audio may be skipped for it."""
    error, _ = ask(answering(400, json={"error": {"message": "no", "param": param}}))
    assert isinstance(error, Rejected)
    assert error.kind == kind


@pytest.mark.parametrize(
    ("status", "param", "kind"),
    [
        (400, "model", "translation"),
        (405, None, "translation"),
        (400, "language", "language"),
        (400, "file", "audio"),
        (401, None, "setup"),
        (404, "model", "setup"),
    ],
)
def test_a_refused_translation_is_not_a_wrong_setup(status, param, kind):
    """Whichever field a service names, translation is at fault, unless it is the key, the URL or the audio."""
    refusal = answering(status, json={"error": {"message": "no", "param": param}})
    error, _ = ask(refusal, call=RemoteOptions(task="translate"))
    assert isinstance(error, Rejected)
    assert error.kind == kind


@pytest.mark.parametrize(
    "response",
    [
        {"content": b"<html>"},
        {"content": b"[" * 200_000},
        {"content": b"\xff\xfe"},
        {"json": [1]},
        {"json": "text"},
        {"json": {}},
        {"json": {"error": {"message": "out of memory"}}},
    ],
)
def test_a_body_without_transcript_is_no_answer(response):
    """A proxy's page, or an error sent with status 200, is no transcript, not even an empty one."""
    error, _ = ask(answering(200, **response))
    assert isinstance(error, Unavailable)


def test_deadline():
    """A request without an answer ends after the timeout, which covers it as a whole, not each phase."""

    async def hang(request):
        await asyncio.sleep(1000)

    error, outcomes = ask(hang, timeout_s=7.0)
    assert isinstance(error, TimedOut)
    assert "7 s" in str(error)
    assert outcomes == [("unavailable", pytest.approx(7.0))]


def test_connection_trouble():
    """A service that cannot be reached is unavailable, and the message does not reveal its address."""

    def refuse(request):
        raise httpx.ConnectError("boom to 10.0.0.7")

    error, _ = ask(refuse)
    assert isinstance(error, Unavailable)
    assert "10.0.0.7" not in str(error)


def test_cancelling_drops_the_request():
    """If a client leaves, its request is cancelled."""
    outcomes = []

    async def main():
        async def hang(request):
            await asyncio.sleep(1000)

        async with httpx.AsyncClient(transport=httpx.MockTransport(hang)) as client:
            remote = RemoteTranscriber(client, url=URL, on_answer=lambda outcome, seconds: outcomes.append(outcome))
            task = asyncio.create_task(remote.transcribe(window(), RemoteOptions()))
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    virtual.run(main())
    assert outcomes == ["cancelled"]


def test_wav_is_read_back():
    """Any WAV reader finds 16 kHz mono 16-bit samples, bit for bit."""
    pcm = bytes(range(256)) * 100
    with wave.open(io.BytesIO(encode_wav(pcm))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.readframes(10**6) == pcm


def test_header_is_44_bytes():
    """This is the layout that the service reads without a codec."""
    assert len(encode_wav(b"\1\0" * 16_000)) == 44 + 32_000


def test_very_short_audio_is_lengthened():
    """Very short audio is padded with silence, so that no service rejects it as too short."""
    wav = encode_wav(b"\1\0" * 10)
    assert len(wav) == 44 + 2 * MIN_WAV_SAMPLES
    assert wav[44:64] == b"\1\0" * 10
    assert not any(wav[64:])


def test_requests_carry_the_sessions_trace():
    """The service gets the trace of the client, unchanged while nothing is recorded here."""
    seen = []

    def handle(request):
        seen.append(request.headers)
        return httpx.Response(200, json={"segments": []})

    context = TraceContext(TRACE_ID, SPAN_ID, sampled=True, state="a=1")
    ask(handle, call=RemoteOptions(span=PassedOn(context)))
    ask(handle)
    assert (seen[0]["traceparent"], seen[0]["tracestate"]) == (TRACEPARENT, "a=1")
    assert "traceparent" not in seen[1]


@pytest.mark.parametrize(("status", "failed", "outcome"), [(200, False, "ok"), (503, True, "busy")])
def test_each_request_is_a_span(status, failed, outcome):
    """The service's spans become children of this one; a refusal is a failure with its kind."""
    sent = []

    def handle(request):
        sent.append(request.headers["traceparent"])
        return httpx.Response(status, json={"segments": []})

    with recorded() as (tracer, spans):
        session = tracer.start("stt.session", parent=None, kind="server")
        ask(handle, call=RemoteOptions(span=session), prompt="Secret")
        session.end()
    whole, request = spans.seen()
    assert sent == [f"00-{whole.trace_id}-{request.span_id}-01"]
    assert (request.name, request.parent_id, request.failed) == ("stt.window", whole.span_id, failed)
    expected = {"stt.window": 3, "stt.audio_s": 1.0, "stt.tier": "realtime", "stt.outcome": outcome}
    assert request.attributes == expected | ({"error.type": "busy"} if failed else {})
    assert_nested([whole, request])
