from __future__ import annotations

import asyncio
import json
import logging

import httpx
import openai
import pytest

from app.http.middleware import drain_body
from tests.clients import MULTIPART, PATH, Exchange, Wire, body_of, live_server, part, tone_wav, until, worker

CHUNKED = "Transfer-Encoding: chunked"
BLOCK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


def exchange_of(app: object, *headers: tuple[bytes, bytes]) -> Exchange:
    """A request without a key, which is refused at once."""
    return Exchange(app, [(b"content-type", MULTIPART), *headers])  # type: ignore[arg-type]


async def test_a_refused_body_of_unknown_length_is_read_to_its_end():
    """The complete answer, with `Connection: close`, is sent first; the connection closes after the body has ended."""
    async with worker(api_keys="sk-1") as running:
        exchange = exchange_of(running.app, (b"transfer-encoding", b"chunked"))
        asked = asyncio.create_task(exchange.run())
        await until(lambda: len(exchange.sent) == 2)
        assert (exchange.status, exchange.n_received) == (401, 0)
        assert exchange.answered["connection"] == "close"
        assert len(exchange.body) == int(exchange.answered["content-length"])
        assert exchange.sent[-1]["more_body"]
        for more in (True, True, False):
            exchange.feed(b"x" * 1000, more=more)
        await asked
    assert exchange.n_received == 3
    assert exchange.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_an_endless_body_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    """Draining stops after a number of bytes, or after some time."""
    monkeypatch.setattr(drain_body, "MAX_DRAINED_BYTES", 5000)
    monkeypatch.setattr(drain_body, "MAX_DRAIN_S", 0.05)
    async with worker(api_keys="sk-1") as running:
        flood = exchange_of(running.app, (b"transfer-encoding", b"chunked"))
        for _ in range(100):
            flood.feed(b"x" * 1000, more=True)
        drip = exchange_of(running.app, (b"content-length", b"600000000"))
        drip.feed(b"x", more=True)
        for exchange in (flood, drip):
            await asyncio.wait_for(exchange.run(), 5)
            assert not exchange.sent[-1]["more_body"]
    assert (flood.n_received, drip.n_received) == (6, 1)


@pytest.mark.parametrize("length", [b"25000000", b"0"])
async def test_a_body_that_ends_by_its_length_is_left_to_the_server(length: bytes):
    """Uvicorn drains a body with a Content-Length and keeps the connection."""
    async with worker(api_keys="sk-1") as running:
        exchange = exchange_of(running.app, (b"content-length", length))
        await exchange.run()
    assert (exchange.status, exchange.n_received) == (401, 0)
    assert "connection" not in exchange.answered


async def test_a_request_that_was_read_keeps_its_connection():
    """A body without a length that was read to its end is a request like any other."""
    async with worker() as running:
        exchange = exchange_of(running.app, (b"transfer-encoding", b"chunked"))
        exchange.feed(body_of(part('name="model"', "m"), part('name="file"', tone_wav())))
        await exchange.run()
    assert exchange.status == 200
    assert "connection" not in exchange.answered


async def test_draining_is_not_part_of_the_logged_time(caplog: pytest.LogCaptureFixture):
    """The access log line is written when the request is answered, before the rest of its body is drained."""
    caplog.set_level(logging.INFO, "app.access")
    async with worker(api_keys="sk-1") as running:
        exchange = exchange_of(running.app, (b"transfer-encoding", b"chunked"))
        asked = asyncio.create_task(exchange.run())
        await until(lambda: len(exchange.sent) == 2)
        assert [record.__dict__["fields"]["status"] for record in caplog.records] == [401]
        exchange.hang_up()
        await asked


def test_clients_that_send_before_they_read_receive_the_refusal():
    """Clients that read the answer only after sending 25 MB, chunked or as a form, still receive it."""
    with live_server(api_keys="sk-1") as address:
        url = f"http://127.0.0.1:{address[1]}"
        for _ in range(3):
            answer = httpx.post(f"{url}{PATH}", content=(b"x" * 65536 for _ in range(400)), timeout=30)
            assert answer.status_code == 401
            assert answer.headers["connection"] == "close"
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            client.audio.transcriptions.create(model="m", file=b"x" * 25_000_000)
        wire = Wire(address)
        wire.send(f"POST {PATH} HTTP/1.1", "Host: w", CHUNKED)
        for _ in range(400):
            wire.socket.sendall(BLOCK)
        wire.socket.sendall(b"0\r\n\r\n")
        status, _, body = wire.read()
        assert (status, json.loads(body)["error"]["type"]) == (401, "invalid_request_error")
        assert wire.socket.recv(1) == b""  # closed in order, not reset
        wire.close()


def test_a_real_endless_body_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    """A client that reads while it sends receives the refusal; then the connection breaks, and the server continues."""
    monkeypatch.setattr(drain_body, "MAX_DRAINED_BYTES", 1_000_000)
    with live_server(api_keys="sk-1") as address:
        wire = Wire(address)
        wire.send(f"POST {PATH} HTTP/1.1", "Host: w", CHUNKED)
        assert wire.read()[0] == 401
        n_sent = 0
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 - which of the blocks is open
            while n_sent < 200:
                wire.socket.sendall(BLOCK)
                n_sent += 1
        wire.close()
        assert httpx.get(f"http://127.0.0.1:{address[1]}/health/live").status_code == 200
