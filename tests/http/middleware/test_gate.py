from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

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
from tests.limited_keys import limited, send_until_served

LARGE = str(600 * 1024 * 1024)


async def test_too_large_is_answered_by_its_header_alone():
    """A Content-Length beyond the limit is a 413 before a byte arrives."""
    async with worker() as running:
        exchange = Exchange(running.app, [(b"content-length", LARGE.encode()), (b"content-type", MULTIPART)])
        asked = asyncio.create_task(exchange.run())
        await until(lambda: len(exchange.sent) == 2)
        assert (exchange.status, exchange.n_received) == (413, 0)
        assert json.loads(exchange.body)["error"]["code"] == "request_too_large"
        exchange.hang_up()
        await asked


@pytest.mark.parametrize("length", [b"-1", b"abc", b"", b"1e9", b"\xb2", b"+99999999999", b"0x7fffffffff"])
async def test_odd_content_length_is_not_believed_and_not_a_crash(open_worker: Worker, length: bytes):
    """A header that is not a number is ignored; the body is counted as it arrives."""
    exchange = Exchange(open_worker.app, [(b"content-length", length), (b"content-type", MULTIPART)])
    exchange.feed(body_of(MODEL_PART, part('name="file"; filename="a.wav"', tone_wav())))
    await exchange.run()
    assert exchange.status == 200


async def test_file_limit_is_exact():
    """MAX_UPLOAD_BYTES is the size of the file, not of the body around it."""
    data = tone_wav()
    async with worker(max_upload_bytes=len(data)) as running:
        fits = await running.client.post(PATH, files=upload(data), data=MODEL)
        over = await running.client.post(PATH, files=upload(data + b"x"), data=MODEL)
    assert (fits.status_code, over.status_code) == (200, 413)
    assert over.json()["error"]["param"] == "file"


async def test_busy_is_answered_before_the_body_is_read():
    """With every slot taken: 503, integer Retry-After, the body untouched, the connection kept."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1, busy_retry_after_s=2) as running:
        exchange = Exchange(running.app, [(b"content-type", MULTIPART)])
        exchange.feed(body_of(MODEL_PART, part('name="file"', tone_wav())))
        running_now = asyncio.create_task(exchange.run())
        await until(lambda: len(engine.received) == 1)
        busy = Exchange(running.app, [(b"content-type", MULTIPART), (b"content-length", b"25000000")])
        busy.feed(b"x" * 65536, more=True)
        await busy.run()
        ready = await running.client.get("/health/ready")
        models = await running.client.get("/v1/models")
        engine.go.set()
        await running_now
    assert (busy.status, busy.n_received) == (503, 0)
    assert busy.answered["retry-after"] == "2"
    assert json.loads(busy.body)["error"]["code"] == "server_is_overloaded"
    assert json.loads(busy.body)["error"]["type"] == "server_error"
    assert "connection" not in busy.answered
    assert (ready.status_code, models.status_code, exchange.status) == (200, 200, 200)


async def test_a_refusal_comes_before_the_body_is_read(tmp_path: Path):
    """As the others of the gate; the connection is kept."""
    async with limited(tmp_path, requests_per_minute=1) as (running, _):
        await running.transcribe()
        exchange = Exchange(
            running.app,
            [(b"authorization", b"Bearer sk-alice"), (b"content-length", b"3000000"), (b"content-type", MULTIPART)],
        )
        await exchange.run()
    assert (exchange.status, exchange.n_received) == (429, 0)
    assert "connection" not in exchange.answered


async def test_busy_comes_before_the_limits(tmp_path: Path):
    """A key that is used up gets the server's 503, which another worker may answer otherwise."""
    engine = HeldEngine()
    settings = {"max_concurrent_transcriptions": 1}
    async with limited(tmp_path, engine, settings=settings, requests_per_minute=1) as (running, _):
        _, task = await send_until_served(running, engine)
        busy = await running.transcribe()
        engine.go.set()
        await task
    assert busy.status_code == 503


@pytest.mark.parametrize("how", ["header", "field"])
async def test_tiers_of_a_key(tmp_path: Path, how: str):
    """Another tier is a 403 that lists the right ones, wherever it is sent; by the header before the body is read."""
    async with limited(tmp_path, tiers=["standard", "deferred"]) as (running, _):

        async def ask(tier: str) -> httpx.Response:
            if how == "field":
                return await running.transcribe(transcription_tier=tier)
            return await running.client.post(PATH, files=upload(), data=MODEL, headers={"X-Transcription-Tier": tier})

        refused, served, unnamed = await ask("realtime"), await ask("deferred"), await running.transcribe()
        metrics = (await running.client.get("/metrics")).text
    assert [refused.status_code, served.status_code, unnamed.status_code] == [403, 200, 200]
    assert refused.json()["error"] == {
        "message": "The key 'alice' may not use the tier 'realtime'; it may use: deferred, standard. Send one of them "
        "as transcription_tier.",
        "type": "invalid_request_error",
        "param": "transcription_tier",
        "code": "tier_not_allowed",
    }
    assert 'whisper_key_refused_total{key="alice",limit="tier"} 1.0' in metrics


async def test_a_key_for_live_text_only_may_send_its_tier_in_the_form(tmp_path: Path):
    """Without a header the gate does not know the tier yet."""
    async with limited(tmp_path, tiers=["realtime"]) as (running, _):
        served = await running.transcribe(transcription_tier="realtime")
        refused = await running.transcribe()
    assert [served.status_code, refused.status_code] == [200, 403]


async def test_middleware_lets_other_protocols_through(open_worker: Worker):
    """A WebSocket handshake is refused by the router, not by a crash."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/v1/realtime", "headers": [], "query_string": b"", "subprotocols": []}
    await open_worker.app(scope, receive, send)
    assert sent[0]["type"] == "websocket.close"


def test_refused_upload_on_a_real_socket():
    """A 401 arrives while the body is on the wire; the rest is drained and the connection lives on."""
    with live_server(api_keys="sk-1") as address:
        wire = Wire(address)
        body = b"x" * 5_000_000
        wire.send(f"POST {PATH} HTTP/1.1", "Host: w", f"Content-Length: {len(body)}", "Expect: 100-continue")
        status, headers, answer = wire.read()
        assert status == 401  # and no "100 Continue" before it
        assert headers.get("connection", "keep-alive") != "close"
        assert json.loads(answer)["error"]["type"] == "invalid_request_error"
        wire.socket.sendall(body)
        wire.send("GET /v1/models HTTP/1.1", "Host: w", "Authorization: Bearer sk-1")
        assert wire.read()[0] == 200
        wire.close()


def test_busy_upload_on_a_real_socket():
    """The same for a 503, which is sent before the client has sent any of its body."""
    with live_server(FakeEngine(window_s=60), max_concurrent_transcriptions=1) as address:
        base = f"http://127.0.0.1:{address[1]}"
        first, second = Wire(address), Wire(address)
        body = body_of(MODEL_PART, part('name="file"', tone_wav()))
        first.send(f"POST {PATH} HTTP/1.1", "Host: w", f"Content-Length: {len(body)}", _multipart(), body=body)
        poll(lambda: httpx.get(f"{base}/health").json()["active"] == 1)
        second.send(f"POST {PATH} HTTP/1.1", "Host: w", "Content-Length: 2000000", _multipart())
        status, headers, _ = second.read()
        assert (status, headers["retry-after"]) == (503, "1")
        second.socket.sendall(b"x" * 2_000_000)
        second.send("GET /health/live HTTP/1.1", "Host: w")
        assert second.read()[0] == 200
        first.close()
        second.close()
        poll(lambda: httpx.get(f"{base}/health").json()["active"] == 0)


def test_hostile_bytes_on_a_real_socket():
    """Malformed requests get a 400 or a closed connection, and the next client is served."""
    post = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: w\r\n"
    requests = [
        b"\x00\xff\x00\xff\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: w\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        post + b"Content-Length: -1\r\n\r\n",
        post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /health/live\xff?\xff HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n",
    ]
    with live_server() as address:
        for raw in requests:
            wire = Wire(address)
            wire.socket.settimeout(5)
            wire.socket.sendall(raw)
            answer = wire.socket.recv(65536)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
            wire.close()
        assert httpx.get(f"http://127.0.0.1:{address[1]}/health/live").status_code == 200


def test_client_that_leaves_in_the_middle_of_an_upload_costs_nothing():
    """An abandoned upload takes no slot and no place in the queue, and the worker continues."""
    with live_server(max_concurrent_transcriptions=1) as address:
        for _ in range(5):
            wire = Wire(address)
            wire.send(f"POST {PATH} HTTP/1.1", "Host: w", "Content-Length: 1000000", _multipart(), body=MODEL_PART)
            wire.close()
        started = time.monotonic()
        answer = httpx.post(f"http://127.0.0.1:{address[1]}{PATH}", files=upload(), data=MODEL)
    assert answer.status_code == 200
    assert time.monotonic() - started < 30


def _multipart() -> str:
    return f"Content-Type: {MULTIPART.decode()}"
