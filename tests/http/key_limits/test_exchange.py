"""Requests of limited keys through the whole worker: headers, refusals, and that every path gives its place back."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients import (
    MODEL,
    MODEL_PART,
    MULTIPART,
    PATH,
    Exchange,
    body_of,
    live_server,
    part,
    tone_wav,
    until,
    upload,
)
from tests.fakes import BrokenEngine, HeldEngine
from tests.limited_keys import ALICE, NEW_YEAR_S, keys_file, limited, rate, send_until_served, usage
from tests.servers import RedisServer


async def test_every_answer_to_a_limited_key_has_openais_headers(tmp_path: Path):
    """Also to what does not count; the 429 has Retry-After and OpenAI's type and code, and the next minute is new."""
    async with limited(tmp_path, requests_per_minute=2) as (running, clock):
        models = await running.client.get("/v1/models")
        first, second, refused = [await running.transcribe() for _ in range(3)]
        wrong = await running.client.get("/v1/nowhere")
        clock.advance(41.75)
        later = await running.transcribe()
    assert (models.status_code, rate(models)) == (200, ["2", "2", "0s"])
    assert (first.status_code, rate(first)) == (200, ["2", "1", "41.75s"])
    assert (second.status_code, rate(second)) == (200, ["2", "0", "41.75s"])
    assert (refused.status_code, rate(refused)) == (429, ["2", "0", "41.75s"])
    assert refused.headers["retry-after"] == "42"
    assert "x-should-retry" not in refused.headers
    assert refused.json()["error"] == {
        "message": "The key 'alice' has used its 2 requests of this minute (requests_per_minute). Retry in 42 s.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert (wrong.status_code, rate(wrong)) == (404, ["2", "0", "41.75s"])
    assert (later.status_code, rate(later)) == (200, ["2", "1", "1m0s"])


async def test_other_keys_have_no_such_headers(tmp_path: Path):
    """Keys of the file without that limit, and keys of API_KEYS; they are served while another is refused."""
    async with limited(tmp_path, requests_per_minute=1, settings={"api_keys": "sk-plain"}) as (running, _):
        await running.transcribe()
        refused = await running.transcribe()
        answers = []
        for key in ("sk-bob", "sk-plain"):
            headers = {"Authorization": f"Bearer {key}"}
            answers += [await running.client.post(PATH, files=upload(), data=MODEL, headers=headers) for _ in range(3)]
    assert refused.status_code == 429
    assert {answer.status_code for answer in answers} == {200}
    assert [rate(answer) for answer in answers] == [[None] * 3] * 6


async def test_audio_of_the_day_is_a_quota(tmp_path: Path):
    """The upload that crosses the line is answered, the next is not, and SDKs are told not to try again."""
    async with limited(tmp_path, audio_seconds_per_day=3) as (running, clock):
        served = [await running.transcribe() for _ in range(2)]
        refused = await running.transcribe()
        translated = await running.client.post("/v1/audio/translations", files=upload(), data=MODEL)
        clock.now_s = NEW_YEAR_S + 86_400
        tomorrow = await running.transcribe()
    assert [answer.status_code for answer in served] == [200, 200]
    assert [refused.status_code, translated.status_code, tomorrow.status_code] == [429, 429, 200]
    assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("3600", "false")
    assert refused.json()["error"]["type"] == refused.json()["error"]["code"] == "insufficient_quota"
    assert "2026-01-01" in refused.json()["error"]["message"]


async def test_audio_of_streams_counts(tmp_path: Path):
    """Whole, whatever the format of the answer."""
    async with limited(tmp_path, audio_seconds_per_day=100) as (running, _):
        assert (await running.transcribe(stream="true")).status_code == 200
        assert (await running.transcribe(response_format="text")).status_code == 200
        assert (await usage(running)).audio_s == 4


async def test_concurrent_requests_are_limited_until_one_ends(tmp_path: Path):
    """The next one of the same client, sent when its last byte has arrived, is served."""
    engine = HeldEngine()
    async with limited(tmp_path, engine, concurrent=1) as (running, _):
        first, task = await send_until_served(running, engine)
        refused = await running.transcribe()
        others = await running.client.get("/v1/models")
        engine.go.set()
        await task
        n_running = (await usage(running)).running
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert (others.status_code, first.status, n_running) == (200, 200, 0)


async def test_a_client_that_hangs_up_gives_its_place_back(tmp_path: Path):
    """During the upload, while it waits, and in a stream."""
    engine = HeldEngine()
    async with limited(tmp_path, engine, concurrent=1) as (running, _):
        exchange, task = await send_until_served(running, engine)
        assert (await usage(running)).running == 1
        exchange.hang_up()
        await task
        assert (await usage(running)).running == 0
        half = Exchange(running.app, [(b"content-type", MULTIPART), (b"authorization", b"Bearer sk-alice")])
        half.feed(MODEL_PART, more=True)
        half.hang_up()
        await half.run()
        assert (await usage(running)).running == 0
        streamed = Exchange(running.app, [(b"content-type", MULTIPART), (b"authorization", b"Bearer sk-alice")])
        streamed.feed(body_of(MODEL_PART, part('name="stream"', "true"), part('name="file"', tone_wav())))
        n_before = len(engine.received)
        task = asyncio.create_task(streamed.run())
        await until(lambda: len(engine.received) > n_before)
        streamed.hang_up()
        await task
        assert (await usage(running)).running == 0
        assert (await usage(running)).requests == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [(body_of(MODEL_PART), 400), (body_of(MODEL_PART, part('name="file"', b"no audio")), 400), (b"", 400)],
)
async def test_a_wrong_request_counts_and_gives_its_place_back(tmp_path: Path, body: bytes, status: int):
    """Whoever sends nonsense uses up requests, as at OpenAI."""
    async with limited(tmp_path, concurrent=1, requests_per_minute=60) as (running, _):
        answer = await running.post(body)
        used = await usage(running)
    assert (answer.status_code, used.running, used.requests) == (status, 0, 1)


async def test_a_crash_gives_the_place_back(tmp_path: Path):
    """Also of a request that ends with a 500."""
    async with limited(tmp_path, BrokenEngine(), concurrent=1) as (running, _):
        assert (await running.transcribe()).status_code == 500
        assert (await usage(running)).running == 0


async def test_a_503_is_not_counted(tmp_path: Path):
    """Neither before the body is read, nor when the last slot was taken meanwhile; nginx repeats it elsewhere."""
    engine = HeldEngine()
    settings = {"max_concurrent_transcriptions": 1}
    async with limited(tmp_path, engine, settings=settings, requests_per_minute=9) as (running, _):
        late = Exchange(running.app, [(b"content-type", MULTIPART), (b"authorization", b"Bearer sk-alice")])
        late.feed(MODEL_PART, more=True)
        waiting = asyncio.create_task(late.run())
        await until(lambda: late.n_received == 1)
        _, task = await send_until_served(running, engine)
        assert (await usage(running)).requests == 2
        early = await running.transcribe()
        late.feed(body_of(part('name="file"', tone_wav())))
        await waiting
        used = await usage(running)
        engine.go.set()
        await task
    assert (early.status_code, rate(early)[:2]) == (503, ["9", "7"])
    assert (late.status, late.answered["x-ratelimit-remaining-requests"]) == (503, "8")
    assert (used.requests, used.running) == (1, 1)


async def test_metrics_and_log_name_the_key(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Seconds of audio and refusals by name; the log has the name too, and never the key."""
    caplog.set_level(logging.INFO, "app.access")
    async with limited(tmp_path, requests_per_minute=1, settings={"api_keys": "sk-plain"}) as (running, _):
        await running.transcribe()
        await running.transcribe()
        await running.client.get("/v1/models", headers={"Authorization": "Bearer sk-plain"})
        metrics = (await running.client.get("/metrics")).text
    assert 'whisper_key_audio_seconds_total{key="alice"} 2.0' in metrics
    assert 'whisper_key_audio_seconds_total{key="bob"} 0.0' in metrics
    assert 'whisper_key_refused_total{key="alice",limit="requests"} 1.0' in metrics
    assert 'code="429",endpoint="transcriptions",outcome="rejected_key_limit"} 1.0' in metrics
    lines = [record.__dict__["fields"] for record in caplog.records if record.name == "app.access"]
    assert [line.get("key_name") for line in lines] == ["alice", "alice", None]
    assert all(len(line["key_id"]) == 8 for line in lines)
    assert "sk-" not in str(lines)


async def test_two_workers_share_their_counts_in_redis(
    tmp_path: Path, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
):
    """Requests, running requests and audio; when Redis is killed each worker goes on by itself, and no one waits."""
    settings = {"redis_url": redis_server.url}
    engine = HeldEngine()
    limits: dict[str, Any] = {"requests_per_minute": 4, "concurrent": 1, "audio_seconds_per_day": 1000}
    async with (
        limited(tmp_path, settings=settings, **limits) as (one, _),
        limited(tmp_path, engine, settings=settings, **limits) as (two, _),
    ):
        first = await one.transcribe()
        _, task = await send_until_served(two, engine)
        refused = await one.transcribe()
        engine.go.set()
        await task
        third = await one.transcribe()
        assert (await usage(one)).audio_s == (await usage(two)).audio_s == 5
        redis_server.stop()
        alone = await two.transcribe()
        again = await two.transcribe()
        still = await one.transcribe()
    assert (first.status_code, rate(first)[1]) == (200, "3")
    assert (refused.status_code, "(concurrent)" in refused.text) == (429, True)
    assert (third.status_code, rate(third)[1]) == (200, "1")
    assert [alone.status_code, again.status_code, still.status_code] == [200, 200, 200]
    away = [record for record in caplog.records if "REDIS_URL does not answer" in record.message]
    assert len(away) == 2  # one of each worker


def test_one_after_the_other_on_a_real_socket(tmp_path: Path):
    """A client that sends the next request as soon as it has the answer never meets its own previous one."""
    with live_server(api_keys_file=keys_file(tmp_path, concurrent=1)) as address:
        base = f"http://127.0.0.1:{address[1]}"
        with httpx.Client(headers=ALICE) as client:
            statuses = [
                client.post(f"{base}{PATH}", files=upload(), data={**MODEL, **fields}).status_code
                for fields in ({}, {"stream": "true"}) * 20
            ]
    assert set(statuses) == {200}
