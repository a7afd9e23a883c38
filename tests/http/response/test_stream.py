from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.types import Message

from app.core.errors import AudioUndecodable, Cancelled, EngineFailure
from app.core.transcript import AudioInfo, Progress, Timings
from app.engine.fake import FakeEngine
from app.http.response.stream import with_heartbeats
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
from tests.fakes import BrokenEngine, HeldEngine, SteppedEngine
from tests.transcripts import SEGMENT

STREAM_PART = part('name="stream"', "true")
INFO = AudioInfo("en", 0.9, 60.0)
FIRST, SECOND = replace(SEGMENT, text=" one"), replace(SEGMENT, id=1, start=30.0, end=31.0, text=" two")
SAYS = (INFO, FIRST, Progress(30.0, 60.0), SECOND, Progress(60.0, 60.0), Timings(0.1, 0.0, 2.0))


def started(running: Worker, seconds: float = 1.0) -> tuple[Exchange, asyncio.Task[None]]:
    """A streaming request on its way."""
    exchange = Exchange(running.app, [(b"content-type", MULTIPART)])
    exchange.feed(body_of(MODEL_PART, STREAM_PART, part('name="file"; filename="a.wav"', tone_wav(seconds))))
    return exchange, asyncio.create_task(exchange.run())


class DeadLine(Exchange):
    """A client whose connection fails when something is sent."""

    async def _send(self, message: Message) -> None:
        raise OSError("the line is dead")


def events_of(body: bytes) -> list[Any]:
    """What the data lines hold; the end mark as a text."""
    datas = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [data.decode() if data == b"[DONE]" else json.loads(data) for data in datas]


@pytest.mark.parametrize("response_format", ["", "json", "text", "srt", "vtt", "verbose_json"])
async def test_every_format_streams_the_same_events(open_worker: Worker, response_format: str):
    """Deltas for each window, one done event with tokens, [DONE]; whatever format was named."""
    fields = {**MODEL, "stream": "true", "response_format": response_format}
    answer = await open_worker.client.post(PATH, files=upload(tone_wav(65.0)), data=fields)
    *deltas, done, end = events_of(answer.content)
    assert answer.status_code == 200
    assert [delta["type"] for delta in deltas] == ["transcript.text.delta"] * 3
    assert [delta["segment"]["id"] for delta in deltas] == [0, 1, 2]
    assert "".join(delta["delta"] for delta in deltas) == done["text"]
    assert done["text"].split() == [f"word{second:04d}" for second in range(65)]
    assert (done["type"], done["usage"]["total_tokens"], end) == ("transcript.text.done", 650 + 65, "[DONE]")


async def test_headers_keep_proxies_from_holding_events_back(open_worker: Worker):
    """The type SDKs expect, no caching, no buffering, no length; the request's id as everywhere."""
    answer = await open_worker.transcribe(stream="true")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-length" not in answer.headers
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["server-timing"].startswith("queue;dur=")


@pytest.mark.parametrize("stream", ["false", "0", ""])
async def test_stream_off_is_an_ordinary_answer(open_worker: Worker, stream: str):
    """SDKs really send stream=false."""
    answer = await open_worker.transcribe(stream=stream, response_format="json")
    assert answer.json()["text"] == "word0000 word0001"


async def test_first_event_is_sent_before_the_second_window_is_decoded():
    """The text of the first window is sent while the engine still processes the second."""
    engine = SteppedEngine(*SAYS)
    async with worker(engine) as running:
        exchange, task = started(running)
        engine.step(2)
        await until(lambda: b'"delta":"one"' in exchange.body)
        assert engine.said == 2
        assert exchange.status == 200
        engine.step(4)
        await task
        assert running.state.admission.active == 0
    assert [event["delta"] for event in events_of(exchange.body)[:2]] == ["one", " two"]


async def test_progress_is_sent_in_comments():
    """Seconds done, seconds in all, and the time left, where parsers of events do not look."""
    engine = SteppedEngine(*SAYS)
    engine.step(6)
    async with worker(engine) as running:
        exchange, task = started(running)
        await task
    told = [
        json.loads(line.removeprefix(b": progress "))
        for line in exchange.body.split(b"\n")
        if line.startswith(b": progress ")
    ]
    assert [(each["done_s"], each["total_s"]) for each in told] == [(0.0, 60.0), (30.0, 60.0), (60.0, 60.0)]
    assert told[0]["eta_s"] is None
    assert told[-1]["eta_s"] == 0.0


async def test_progress_may_come_before_the_language():
    """A long silence at the beginning: the response starts with the search for speech, and progress never goes back."""
    engine = SteppedEngine(Progress(30.0, 60.0), INFO, SECOND, Progress(60.0, 60.0), Timings(0.1, 0.0, 2.0))
    engine.step()
    async with worker(engine) as running:
        exchange, task = started(running)
        await until(lambda: b': progress {"done_s":30.0' in exchange.body)
        assert exchange.status == 200
        engine.step(4)
        await task
    assert exchange.body.count(b": progress ") == 2
    *deltas, done, _ = events_of(exchange.body)
    assert [delta["delta"] for delta in deltas] == ["two"]
    assert (done["languages"], done["usage"]["input_tokens"]) == ([{"code": "en"}], 600)


async def test_silence_is_broken_by_heartbeats():
    """During a long window comments are sent at intervals, and no event is lost."""

    async def slow() -> AsyncGenerator[str, None]:
        yield "a"
        await asyncio.sleep(0.05)
        yield "b"

    heard: list[str | None] = []
    async with aclosing(with_heartbeats(slow(), every_s=0.02)) as events:
        heard.extend([event async for event in events])
    assert heard[0] == "a"
    assert heard[-1] == "b"
    assert heard[1:-1]
    assert set(heard[1:-1]) == {None}


async def test_closing_between_heartbeats_closes_the_source():
    """Whoever stops listening stops the work, also while the next event is awaited."""
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[str, None]:
        try:
            await asyncio.sleep(3600)
            yield "never"
        finally:
            closed.set()

    events = with_heartbeats(endless(), every_s=0.001)
    assert await anext(events) is None
    await events.aclose()
    assert closed.is_set()


@pytest.mark.parametrize(
    ("data", "fields", "status", "param"),
    [
        (b"test\n", {}, 400, "file"),
        (tone_wav(0.05), {}, 400, "file"),
        (tone_wav(), {"temperature": "9"}, 400, "temperature"),
        (tone_wav(), {"stream": "maybe"}, 400, "stream"),
        (tone_wav(), {"response_format": "diarized_json"}, 400, "response_format"),
    ],
)
async def test_known_errors_come_before_the_stream(
    open_worker: Worker, data: bytes, fields: dict[str, str], status: int, param: str
):
    """Bad audio and bad parameters are ordinary errors with their status."""
    fields = {**MODEL, "stream": "true", **fields}
    answer = await open_worker.client.post(PATH, files=upload(data), data=fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert open_worker.state.admission.active == 0


async def test_busy_comes_before_the_stream():
    """No slot: 503 with Retry-After, not a stream with an error."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1) as running:
        _, task = started(running)
        await until(lambda: len(engine.received) == 1)
        answer = await running.transcribe(stream="true")
        engine.go.set()
        await task
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_error_half_way_is_the_last_event(caplog: pytest.LogCaptureFixture):
    """The status is long sent: an event that SDKs raise, no [DONE], the slot back, an error in the log."""
    caplog.set_level(logging.INFO)
    engine = SteppedEngine(INFO, FIRST, EngineFailure("The server failed to transcribe this audio."))
    engine.step(3)
    async with worker(engine) as running:
        exchange, task = started(running)
        await task
        assert running.state.admission.active == 0
    assert exchange.status == 200
    assert events_of(exchange.body)[-1] == {
        "error": {
            "message": "The server failed to transcribe this audio.",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    }
    assert b"[DONE]" not in exchange.body
    (line,) = [record.__dict__["fields"] for record in caplog.records if record.name == "app.access"]
    assert (line["status"], line["outcome"], line["stream"]) == (200, "error", True)


async def test_server_that_stops_half_way_says_so():
    """An engine that is closed ends its streams with the code of a server that goes."""
    engine = SteppedEngine(INFO, FIRST, Cancelled())
    engine.step(3)
    async with worker(engine) as running:
        exchange, task = started(running)
        await task
    assert events_of(exchange.body)[-1]["error"]["code"] == "shutting_down"


async def test_strangers_exception_half_way_leaks_nothing():
    """The last event reports the failure; the cause is only logged."""
    async with worker(BrokenEngine()) as running:
        exchange, task = started(running)
        await task
        assert running.state.admission.active == 0
    assert events_of(exchange.body)[-1]["error"]["type"] == "server_error"
    assert b"secret" not in exchange.body


async def test_error_in_place_of_the_first_event_is_an_http_error():
    """The engine refused at once: its status, and nothing is left behind."""
    engine = SteppedEngine(AudioUndecodable("file: no audio in it."))
    engine.step()
    async with worker(engine) as running:
        exchange, task = started(running)
        await task
        assert running.state.admission.active == 0
    assert exchange.status == 400


@pytest.mark.parametrize("n_events", [0, 1, 2, 3])
async def test_hanging_up_stops_the_work_wherever_it_is(n_events: int):
    """Before the first event or after any other: the generator is closed and the slot free."""
    engine = SteppedEngine(*SAYS)
    engine.step(n_events)
    async with worker(engine) as running:
        gone, task = started(running)
        await until(lambda: engine.said == n_events and len(engine.received) == 1)
        gone.hang_up()
        await asyncio.wait_for(task, 5)
        assert (engine.n_left, running.state.admission.active) == (1, 0)


async def test_cancelled_stream_frees_everything():
    """A server that stops cancels its requests."""
    engine = SteppedEngine(*SAYS)
    engine.step(2)
    async with worker(engine) as running:
        _, task = started(running)
        await until(lambda: engine.said == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (engine.n_left, running.state.admission.active) == (1, 0)


async def test_client_that_cannot_be_written_to_frees_everything():
    """A server that raises on a dead socket ends the stream like a client that left."""
    engine = SteppedEngine(*SAYS)
    engine.step(6)
    async with worker(engine) as running:
        exchange = DeadLine(running.app, [(b"content-type", MULTIPART)])
        exchange.feed(body_of(MODEL_PART, STREAM_PART, part('name="file"; filename="a.wav"', tone_wav())))
        await exchange.run()
        assert running.state.admission.active == 0


async def test_logprobs_of_a_stream(open_worker: Worker):
    """In each delta those of its tokens, in the done event all."""
    answer = await open_worker.transcribe(**{"stream": "true", "include[]": "logprobs"})
    delta, done, _ = events_of(answer.content)
    assert [each["token"] for each in delta["logprobs"]] == [" word0000", " word0001"]
    assert done["logprobs"] == delta["logprobs"]
    assert bytes(done["logprobs"][0]["bytes"]) == b" word0000"


def test_events_leave_a_real_server_one_by_one():
    """Over a socket: the first window's text arrives while the second is being worked on."""
    engine = FakeEngine(window_s=0.4)
    with (
        live_server(engine) as (host, port),
        httpx.stream(
            "POST", f"http://{host}:{port}{PATH}", files=upload(tone_wav(65.0)), data={**MODEL, "stream": "true"}
        ) as answer,
    ):
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith("data: "))
        assert engine.windows_done < 3
        assert list(lines)[-2:] == ["data: [DONE]", ""]


def test_hanging_up_on_a_real_socket_stops_the_stream():
    """After a TCP close in the middle of a stream no further window is decoded."""
    engine = FakeEngine(window_s=0.2)
    with live_server(engine, max_concurrent_transcriptions=1) as address:
        wire = Wire(address)
        body = body_of(MODEL_PART, STREAM_PART, part('name="file"', tone_wav(600.0)))
        wire.send(
            f"POST {PATH} HTTP/1.1",
            "Host: w",
            f"Content-Type: {MULTIPART.decode()}",
            f"Content-Length: {len(body)}",
            body=body,
        )
        poll(lambda: engine.windows_done >= 1)
        wire.close()
        poll(lambda: httpx.get(f"http://{address[0]}:{address[1]}/health").json()["active"] == 0)
        assert engine.windows_done < 19
