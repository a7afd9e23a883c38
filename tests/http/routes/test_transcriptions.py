from __future__ import annotations

import asyncio
import json
import random
import re
from typing import Any

import httpx
import pytest

from app.core.options import Options
from app.engine.fake import FakeEngine
from tests.clients import (
    MODEL,
    MODEL_PART,
    MULTIPART,
    PATH,
    Exchange,
    Wire,
    Worker,
    body_of,
    live_server,
    part,
    poll,
    tone_wav,
    until,
    upload,
    worker,
)
from tests.fakes import HeldEngine

BODY = body_of(MODEL_PART, part('name="file"; filename="audio.wav"', tone_wav()))
SEGMENT_KEYS = {
    "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob",
    "speech_prob", "suspect", "language", "audio_start", "audio_end",
}  # fmt: skip


def started(running: Worker, body: bytes = BODY) -> tuple[Exchange, asyncio.Task[None]]:
    """A request on its way, with its body sent."""
    exchange = Exchange(running.app, [(b"content-type", MULTIPART)])
    exchange.feed(body)
    return exchange, asyncio.create_task(exchange.run())


async def queued(engine: HeldEngine, running: Worker, count: int) -> list[tuple[Exchange, asyncio.Task[None]]]:
    """One request at work and `count` behind it, in order."""
    requests = [started(running)]
    await until(lambda: len(engine.received) == 1)
    for number in range(1, count + 1):
        requests.append(started(running))
        await until(lambda expected=number: running.state.admission.queued == expected)  # type: ignore[misc]
    return requests


async def test_default_body_serves_openai_and_vexa(open_worker: Worker):
    """Without response_format: the verbose body, with everything both read."""
    body = (await open_worker.transcribe()).json()
    assert set(body) == {"task", "language", "language_probability", "duration", "text", "usage", "segments"}
    assert (body["task"], body["language"], body["duration"]) == ("transcribe", "en", 2.0)
    assert body["text"] == "word0000 word0001"
    (segment,) = body["segments"]
    assert set(segment) == SEGMENT_KEYS
    assert segment["end"] > segment["start"]
    assert segment["text"].startswith(" ")


@pytest.mark.parametrize(
    ("response_format", "media_type", "begins"),
    [
        (
            "json",
            "application/json",
            '{"text":"word0000 word0001","languages":[{"code":"en"}],"usage":{"type":"duration","seconds":2}}',
        ),
        ("text", "text/plain; charset=utf-8", "word0000 word0001\n"),
        ("srt", "text/plain; charset=utf-8", "1\n00:00:00,000 --> 00:00:02,000\nword0000 word0001\n"),
        ("vtt", "text/plain; charset=utf-8", "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nword0000"),
        ("verbose_json", "application/json", '{"task":"transcribe","language":"en"'),
    ],
)
async def test_every_response_format(open_worker: Worker, response_format: str, media_type: str, begins: str):
    """Each format with the type that strict SDKs demand."""
    answer = await open_worker.transcribe(response_format=response_format)
    assert answer.headers["content-type"] == media_type
    assert answer.text.startswith(begins)


@pytest.mark.parametrize(
    ("field", "value", "words", "segments"),
    [
        ("timestamp_granularities", "word", True, True),
        ("timestamp_granularities", "segment", False, True),
        ("timestamp_granularities[]", "word", True, False),
    ],
)
async def test_words_where_both_clients_look(open_worker: Worker, field: str, value: str, words: bool, segments: bool):  # noqa: FBT001
    """Words at the top without spaces for OpenAI, in the segments with them for Vexa."""
    body = (await open_worker.transcribe(**{field: value})).json()
    assert ("words" in body, "segments" in body) == (words, segments)
    if words:
        assert [word["word"] for word in body["words"]] == ["word0000", "word0001"]
    if words and segments:
        assert [word["word"] for word in body["segments"][0]["words"]] == [" word0000", " word0001"]


async def test_granularities_with_another_format_are_ignored(open_worker: Worker):
    """OpenAI answers 400; clients in the field send it."""
    answer = await open_worker.transcribe(**{"response_format": "text", "timestamp_granularities[]": "word"})
    assert (answer.status_code, answer.text) == (200, "word0000 word0001\n")


async def test_silence_is_an_empty_transcript(open_worker: Worker):
    """Silence gives "" and [], the duration of the audio, and a valid language code."""
    wav = bytearray(tone_wav(1.5))
    wav[44:] = bytes(len(wav) - 44)
    body = (await open_worker.client.post(PATH, files=upload(bytes(wav)), data=MODEL)).json()
    assert (body["text"], body["segments"], body["duration"], body["language"]) == ("", [], 1.5, "en")


async def test_no_second_of_a_long_file_is_lost(open_worker: Worker):
    """Over three windows every second of audio appears once, in order, with increasing times."""
    body = (await open_worker.client.post(PATH, files=upload(tone_wav(65.0)), data=MODEL)).json()
    assert body["text"].split() == [f"word{second:04d}" for second in range(65)]
    assert len(body["segments"]) == 3
    assert [segment["id"] for segment in body["segments"]] == [0, 1, 2]


async def test_language_is_a_code_or_a_name_as_configured(open_worker: Worker):
    """`code` keeps Vexa working, `name` is what OpenAI sends; a forced language is certain."""
    coded = (await open_worker.transcribe(language="German")).json()
    async with worker(verbose_json_language="name") as running:
        named = (await running.transcribe(language="de")).json()
    assert (coded["language"], coded["language_probability"], named["language"]) == ("de", 1.0, "german")


async def test_vexas_doubled_path(open_worker: Worker):
    """Vexa's client requests /v1/v1 if its base URL ends in /v1."""
    answer = await open_worker.client.post("/v1/v1/audio/transcriptions", files=upload(), data=MODEL)
    assert answer.status_code == 200


async def test_every_field_reaches_the_engine():
    """The engine gets the options of the request; the tier may come in a header."""
    engine = HeldEngine()
    engine.go.set()
    fields = {
        **MODEL,
        "task": "translate",
        "language": "de",
        "prompt": "before",
        "hotwords": "Vexa",
        "temperature": "0.2",
        "beam_size": "2",
        "timestamp_granularities": "word",
        "vad_filter": "no",
        "max_speech_duration_s": "15",
        "min_silence_duration_ms": "100.5",
    }
    async with worker(engine) as running:
        answer = await running.client.post(
            PATH, files=upload(), data=fields, headers={"X-Transcription-Tier": "deferred"}
        )
    assert answer.json()["task"] == "translate"
    assert engine.received == [
        Options(
            task="translate",
            language="de",
            prompt="before",
            hotwords="Vexa",
            temperature=0.2,
            beam_size=2,
            words=True,
            vad_filter=False,
            max_speech_duration_s=15.0,
            min_silence_duration_ms=100.5,
            tier="deferred",
        )
    ]


@pytest.mark.parametrize(
    "data", [b"test\n", b"", b"\x00", b"RIFF", b"ffconcat version 1.0\nfile x.wav\n", b"%PDF-1.7", tone_wav(0.05)]
)
async def test_bad_audio_is_a_400_that_vexas_start_check_accepts(open_worker: Worker, data: bytes):
    """Vexa refuses to start if the answer to garbage speaks of keys, tokens or permission."""
    answer = await open_worker.client.post(PATH, files=upload(data), data={"model": "test"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "file"
    assert not re.search(r"(?i)invalid.*token|invalid.*api.*key|forbidden|unauthorized", answer.text)
    assert open_worker.state.admission.active == 0


async def test_too_long_audio_names_the_limit():
    """MAX_AUDIO_SECONDS: 400, param file, the remedy."""
    async with worker(FakeEngine(max_audio_s=1.0)) as running:
        answer = await running.transcribe()
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "audio_too_long"


async def test_bad_field_is_named_before_the_audio_is_touched():
    """A wrong value costs no slot and no decoding."""
    engine = HeldEngine()
    async with worker(engine) as running:
        answer = await running.transcribe(temperature="hot")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "temperature")
    assert engine.received == []


async def test_queue_holds_as_many_as_allowed_and_serves_them_all():
    """FAIL_FAST_WHEN_BUSY=false: one works, two wait, the fourth gets 503 unread; then all three get 200."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1, fail_fast_when_busy=False, max_queue_size=2) as running:
        requests = await queued(engine, running, 2)
        refused = Exchange(running.app, [(b"content-type", MULTIPART)])
        refused.feed(BODY)
        await refused.run()
        engine.go.set()
        await asyncio.gather(*(task for _, task in requests))
        assert (running.state.admission.active, running.state.admission.queued) == (0, 0)
    assert (refused.status, refused.n_received) == (503, 0)
    assert refused.answered["retry-after"] == "1"
    assert [exchange.status for exchange, _ in requests] == [200, 200, 200]


async def test_hanging_up_in_the_queue_frees_the_place_at_once():
    """A waiting request whose client disconnects is never processed, and frees its place in the queue."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1, fail_fast_when_busy=False, max_queue_size=1) as running:
        (first, first_task), (gone, gone_task) = await queued(engine, running, 1)
        gone.hang_up()
        await asyncio.wait_for(gone_task, 5)
        assert (running.state.admission.active, running.state.admission.queued) == (1, 0)
        late, late_task = started(running)
        await until(lambda: running.state.admission.queued == 1)
        engine.go.set()
        await asyncio.gather(first_task, late_task)
    assert (first.status, late.status) == (200, 200)
    assert len(engine.received) == 2


async def test_hanging_up_at_work_stops_the_work_and_serves_the_next():
    """When the client of a running request disconnects, a waiting request gets its slot."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1, fail_fast_when_busy=False, max_queue_size=1) as running:
        (gone, gone_task), (waits, waits_task) = await queued(engine, running, 1)
        gone.hang_up()
        await asyncio.wait_for(gone_task, 5)
        assert engine.n_left == 1
        await until(lambda: len(engine.received) == 2)
        engine.go.set()
        await waits_task
        assert running.state.admission.active == 0
    assert waits.status == 200


async def test_hanging_up_stops_at_the_next_window():
    """Of a file of ten windows no more than the running one is done."""
    engine = FakeEngine(window_s=0.02)
    async with worker(engine) as running:
        long = body_of(MODEL_PART, part('name="file"', tone_wav(300.0)))
        gone, task = started(running, long)
        await until(lambda: engine.windows_done >= 1)
        gone.hang_up()
        await asyncio.wait_for(task, 5)
        done = engine.windows_done
        assert running.state.admission.active == 0
        await asyncio.sleep(0.1)
    assert engine.windows_done == done < 10


async def test_cancelled_request_frees_everything():
    """A server that stops cancels its requests: the slot and the place come back."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1, fail_fast_when_busy=False, max_queue_size=1) as running:
        requests = await queued(engine, running, 1)
        for _, task in reversed(requests):
            task.cancel()
        await asyncio.gather(*(task for _, task in requests), return_exceptions=True)
        assert (running.state.admission.active, running.state.admission.queued) == (0, 0)


async def test_slow_upload_holds_no_slot():
    """While one client sends its file byte by byte, another is served with the only slot."""
    async with worker(max_concurrent_transcriptions=1) as running:
        slow = Exchange(running.app, [(b"content-type", MULTIPART)])
        slow.feed(BODY[:1000], more=True)
        task = asyncio.create_task(slow.run())
        await until(lambda: slow.n_received == 1)
        assert running.state.admission.active == 0
        assert (await running.transcribe()).status_code == 200
        slow.feed(BODY[1000:])
        await task
    assert slow.status == 200


async def test_slot_lost_during_the_upload_is_a_503():
    """The early check saw a free slot, the upload took long, the slot is gone: 503 with Retry-After."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1) as running:
        slow = Exchange(running.app, [(b"content-type", MULTIPART)])
        slow.feed(BODY[:1000], more=True)
        task = asyncio.create_task(slow.run())
        await until(lambda: slow.n_received == 1)
        _, other = started(running)
        await until(lambda: len(engine.received) == 1)
        slow.feed(BODY[1000:])
        await task
        engine.go.set()
        await other
    assert slow.status == 503
    assert slow.answered["retry-after"] == "1"


async def test_draining_refuses_the_queue_and_finishes_the_work():
    """On SIGTERM waiting requests get a 503 at once, and running requests are answered."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1, fail_fast_when_busy=False, max_queue_size=1) as running:
        (works, works_task), (waits, waits_task) = await queued(engine, running, 1)
        running.state.admission.drain()
        await asyncio.wait_for(waits_task, 5)
        engine.go.set()
        await works_task
    assert (waits.status, json.loads(waits.body)["error"]["code"]) == (503, "shutting_down")
    assert works.status == 200


async def test_burst_is_answered_with_200_or_503_and_nothing_else():
    """Two hundred at once on two slots: every answer is one of two, and the worker is idle and well after."""
    async with worker(max_concurrent_transcriptions=2) as running:
        answers = await asyncio.gather(*(running.transcribe(response_format="text") for _ in range(200)))
        after = await running.transcribe(response_format="text")
        assert running.state.admission.active == 0
    assert {answer.status_code for answer in answers} == {200, 503}
    assert {answer.text for answer in answers if answer.status_code == 200} == {"word0000 word0001\n"}
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)
    assert after.status_code == 200


async def test_mutated_requests_never_break_the_worker(open_worker: Worker):
    """Four hundred damaged bodies: each is a 200 or a client's error in the envelope, none a 500."""
    dice = random.Random(7)  # noqa: S311 - repeatable damage, no secrets
    short = body_of(
        part('name="file"; filename="a.wav"', tone_wav(0.2)),
        MODEL_PART,
        part('name="timestamp_granularities[]"', "word"),
    )
    frame = [at for at, byte in enumerate(short) if at < 200 or at > len(short) - 300 or byte in b"-:;="]
    for _ in range(400):
        body = bytearray(short)
        for _ in range(dice.randint(1, 4)):
            at = dice.choice(frame) % len(body)
            body[at : at + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
        answer = await open_worker.post(bytes(body))
        assert answer.status_code in (200, 400), (answer.text, bytes(body))
        if answer.status_code != 200:
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert open_worker.state.admission.active == 0
    assert (await open_worker.transcribe()).status_code == 200


async def test_same_request_same_text(open_worker: Worker):
    """Vexa confirms words by seeing them twice."""
    answers = [await open_worker.transcribe() for _ in range(3)]
    assert len({answer.text for answer in answers}) == 1


def test_hanging_up_on_a_real_socket_frees_the_slot():
    """TCP close, no word of goodbye: within moments the slot is free again."""
    with live_server(FakeEngine(window_s=60), max_concurrent_transcriptions=1) as address:
        wire = Wire(address)
        head = (
            f"POST {PATH} HTTP/1.1",
            "Host: w",
            f"Content-Type: {MULTIPART.decode()}",
            f"Content-Length: {len(BODY)}",
        )
        wire.send(*head, body=BODY)
        poll(lambda: _health(address)["active"] == 1)
        wire.close()
        poll(lambda: _health(address)["active"] == 0)


def test_one_connection_serves_many_requests():
    """Keep-alive, with errors in between: refusals do not cost clients their connection."""
    with live_server() as address, httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") as client:
        statuses = []
        ports = set()
        for fields in (MODEL, {}, MODEL, {**MODEL, "temperature": "9"}, MODEL):
            with client.stream("POST", PATH, files=upload(), data=fields) as answer:
                answer.read()
                ports.add(answer.extensions["network_stream"].get_extra_info("client_addr")[1])
            statuses.append(answer.status_code)
    assert statuses == [200, 400, 200, 400, 200]
    assert len(ports) == 1


def test_chunked_body_without_a_length():
    """Node streams and n8n send no Content-Length."""

    def pieces() -> Any:
        for start in range(0, len(BODY), 1000):
            yield BODY[start : start + 1000]

    with live_server(max_upload_bytes=len(BODY)) as address:
        url = f"http://127.0.0.1:{address[1]}{PATH}"
        answer = httpx.post(url, content=pieces(), headers={"content-type": MULTIPART.decode()})
    assert answer.json()["text"] == "word0000 word0001"


def _health(address: tuple[str, int]) -> dict[str, Any]:
    body: dict[str, Any] = httpx.get(f"http://127.0.0.1:{address[1]}/health").json()
    return body


@pytest.mark.parametrize("path", ["/v1/audio/translations", "/v1/v1/audio/translations"])
async def test_translations(path: str):
    """The route sets the task, whatever the field says, and json is its default format."""
    engine = HeldEngine()
    engine.go.set()
    async with worker(engine) as running:
        plain = await running.client.post(path, files=upload(), data={**MODEL, "task": "transcribe"})
        verbose = await running.client.post(path, files=upload(), data={**MODEL, "response_format": "verbose_json"})
    assert set(plain.json()) == {"text", "usage"}
    assert verbose.json()["task"] == "translate"
    assert [options.task for options in engine.received] == ["translate", "translate"]


async def test_translations_stream(open_worker: Worker):
    """The same events as everywhere."""
    answer = await open_worker.client.post("/v1/audio/translations", files=upload(), data={**MODEL, "stream": "true"})
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_server_timing_tells_where_the_time_went(open_worker: Worker):
    """decode, queue, model, in milliseconds, as browsers read them."""
    answer = await open_worker.transcribe()
    assert re.fullmatch(r"decode;dur=\d+\.\d, queue;dur=\d+\.\d, model;dur=\d+\.\d", answer.headers["server-timing"])


@pytest.mark.parametrize("response_format", ["json", "verbose_json"])
async def test_logprobs(open_worker: Worker, response_format: str):
    """Asked for, they stand at the top of both JSON bodies; else the key is absent."""
    fields = {"response_format": response_format, "include[]": "logprobs"}
    body = (await open_worker.transcribe(**fields)).json()
    assert [each["token"] for each in body["logprobs"]] == [" word0000", " word0001"]
    assert set(body["logprobs"][0]) == {"token", "logprob", "bytes"}
    assert "logprobs" not in (await open_worker.transcribe(response_format=response_format)).json()


async def test_retry_after_follows_the_work():
    """Once requests are known to take long, the busy answer names that time, and live text two seconds."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1) as running:
        running.state.admission._retry_after.finished(17.2)
        _, task = started(running)
        await until(lambda: len(engine.received) == 1)
        ordinary = await running.transcribe()
        live = await running.client.post(PATH, files=upload(), data=MODEL, headers={"X-Transcription-Tier": "realtime"})
        engine.go.set()
        await task
    assert (ordinary.headers["retry-after"], live.headers["retry-after"]) == ("18", "2")
