"""Uploads that stall, pile up or lie about their size."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Message

from app.core.errors import Cancelled, Overloaded, TooLarge, UploadStalled
from app.http.request.receive import UploadBudget, UploadLimits, chunks_of, content_length
from tests.clients import FILE_PART, MODEL_PART, MULTIPART, PATH, Wire, body_of, live_server, poll, upload
from tests.http.request.test_multipart import request

PATIENT = UploadLimits(chunk_timeout_s=5)
TYPE = f"Content-Type: {MULTIPART.decode()}"


@pytest.mark.parametrize(
    ("sent", "size"),
    [
        ("0", 0),
        ("12", 12),
        ("0" * 40 + "5", 5),
        (str(10**17), 10**17),
        (str(2**62), 10**18),
        (str(2**64), 10**18),
        ("9" * 5000, 10**18),
        ("-1", None),
        ("1e9", None),
        ("\xb2", None),
        ("+5", None),
        ("", None),
    ],
)
def test_content_length(sent: str, size: int | None):
    """A number of any length is a size; everything else is ignored."""
    assert content_length(Headers({"content-length": sent})) == size
    assert content_length(Headers()) is None


async def test_a_trickle_is_not_an_upload():
    """A byte now and then keeps the connection alive, but below the slowest rate the upload is given up."""
    times = iter([0.0, 10.0, 62.0])
    limits = UploadLimits(chunk_timeout_s=60, min_bytes_per_s=1024)
    trickle = chunks_of(request(b"a", b"b"), max_body_bytes=10, limits=limits, clock=lambda: next(times))
    assert await anext(trickle) == b"a"
    with pytest.raises(UploadStalled, match="1024 bytes per second"):
        await anext(trickle)


async def test_chunks_are_counted():
    """The limit applies to the bytes that arrive."""
    assert [chunk async for chunk in chunks_of(request(b"ab", b"c"), max_body_bytes=3, limits=PATIENT)][:2] == [
        b"ab",
        b"c",
    ]
    with pytest.raises(TooLarge):
        _ = [chunk async for chunk in chunks_of(request(b"ab", b"cd"), max_body_bytes=3, limits=PATIENT)]


async def test_a_stalled_body_is_given_up():
    """The wait for each chunk is limited, not the whole upload."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    stalled = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    with pytest.raises(UploadStalled, match=r"No data arrived for 0\.01 seconds"):
        _ = [chunk async for chunk in chunks_of(stalled, max_body_bytes=3, limits=UploadLimits(chunk_timeout_s=0.01))]


async def test_a_client_that_leaves_is_no_timeout():
    """A disconnect is Cancelled, not a timeout."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    gone = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    with pytest.raises(Cancelled):
        _ = [chunk async for chunk in chunks_of(gone, max_body_bytes=3, limits=PATIENT)]


def test_the_budget_is_shared_and_given_back():
    """What one upload holds is not available to another until it is complete."""
    budget = UploadBudget(UploadLimits(max_unfinished_bytes=10))
    with budget.share() as one, budget.share() as other:
        one.hold(6)
        other.hold(4)
        with pytest.raises(Overloaded):
            other.hold(5)
        one.hold(0)  # its file went to disk
        other.hold(10)
        assert budget.held_bytes == 10
    assert budget.held_bytes == 0


@pytest.mark.parametrize("length", [2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30])
@pytest.mark.parametrize("content_type", [TYPE, "Content-Type: application/json"])
def test_absurd_sizes_are_too_large(length: int, content_type: str):
    """A Content-Length at the edges of 64 bits and beyond is a 413 at once, and the connection ends."""
    with live_server() as address, Wire(address) as wire:
        wire.send(f"POST {PATH} HTTP/1.1", "Host: w", f"Content-Length: {length}", content_type)
        status, headers, body = wire.read()
        assert (status, headers["connection"]) == (413, "close")
        assert json.loads(body)["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("kind", [TYPE, "Content-Type: application/json"])
@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_a_stalled_upload_is_answered_and_closed(kind: str, length: str):
    """A client that sends part of a body and then stops gets a 408, which the SDKs retry."""
    with live_server(upload_limits=UploadLimits(chunk_timeout_s=0.2)) as address, Wire(address) as wire:
        wire.send(f"POST {PATH} HTTP/1.1", "Host: w", kind, length)
        status, headers, body = wire.read()
        assert (status, headers["connection"]) == (408, "close")
        assert json.loads(body)["error"]["code"] == "upload_stalled"
        assert wire.socket.recv(1) == b""


def test_a_slow_upload_is_served():
    """Any number of pauses shorter than the limit is accepted."""
    body = body_of(MODEL_PART, FILE_PART)
    pieces = [body[at : at + 8000] for at in range(0, len(body), 8000)]
    with live_server(upload_limits=UploadLimits(chunk_timeout_s=2)) as address, Wire(address) as wire:
        wire.send(f"POST {PATH} HTTP/1.1", "Host: w", TYPE, f"Content-Length: {len(body)}")
        wire.socket.settimeout(0.05)
        for piece in pieces:
            with pytest.raises(TimeoutError):
                wire.socket.recv(1)
            wire.socket.sendall(piece)
        wire.socket.settimeout(10)
        assert wire.read()[0] == 200


def test_unfinished_uploads_share_a_budget():
    """While an unfinished upload holds the budget another gets a 503; afterwards it is served."""
    body = body_of(MODEL_PART, FILE_PART)
    head = (f"POST {PATH} HTTP/1.1", "Host: w", TYPE, f"Content-Length: {len(body)}")
    limits = UploadLimits(max_unfinished_bytes=len(body) + 1000)
    with live_server(upload_limits=limits) as address:
        url = f"http://127.0.0.1:{address[1]}"

        def status() -> int:
            return httpx.post(f"{url}{PATH}", files=upload(), data={"model": "m"}).status_code

        with Wire(address) as half:
            half.send(*head, body=body[: len(body) // 2])
            poll(lambda: status() == 503)
            refused = httpx.post(f"{url}{PATH}", files=upload(), data={"model": "m"})
            assert (refused.json()["error"]["code"], refused.headers["retry-after"]) == ("server_is_overloaded", "5")
            assert httpx.get(f"{url}/health/ready").status_code == 200
        poll(lambda: status() == 200)
