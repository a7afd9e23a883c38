from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from app.collector.api import body
from tests.collector.api.said import client
from tests.collector.fakes import services

PATH = "/ws/authorize-subscribe"


async def post(content: bytes | AsyncIterator[bytes]) -> httpx.Response:
    """Send a body."""
    async with client(services()) as http:
        return await http.post(PATH, content=content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 60_000,
        b'{"meetings": NaN}',
        b'{"meetings": [{"platform": "zoom", "native_meeting_id": "\\ud800"}]}',
        b"\xff\xfe",
        b'{"meetings": ' + b"9" * 5000 + b"}",
    ],
)
async def test_what_is_not_json_is_refused(content: bytes):
    """Broken, deep, not UTF-8, NaN, lone surrogates and endless numbers: one text."""
    answer = await post(content)
    assert (answer.status_code, answer.json()) == (422, {"detail": "body: it is not a JSON object in UTF-8."})


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"[]", "body: the value is not an object."),
        (b"{}", "meetings: is missing."),
        (b'{"meetings": {}}', "meetings: the value is not a list."),
        (b'{"meetings": [{"platform": "zoom"}]}', "meetings.0.native_meeting_id: is missing."),
        (b'{"meetings": [{"platform": 3, "native_meeting_id": "x"}]}', "meetings.0.platform: '3' is not a text."),
        (b'{"meetings": [' + b",".join([b"{}"] * 101) + b"]}", "meetings: the value must have at most 100 items."),
    ],
)
async def test_another_type_is_refused_by_name(content: bytes, detail: str):
    """422 with the place in the body."""
    answer = await post(content)
    assert (answer.status_code, answer.json()) == (422, {"detail": detail})


async def test_a_large_body_is_refused():
    """By its announced length, and by its bytes if it announces none."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    for content in (b" " * 65_537, pieces()):
        answer = await post(content)
        assert answer.status_code == 413
        assert answer.json()["detail"] == "body: it is larger than 65536 bytes; send less."
    assert (await post(b'{"meetings": []}' + b" " * 65_000)).status_code == 200


async def test_a_body_that_does_not_arrive_is_given_up(monkeypatch: pytest.MonkeyPatch):
    """408 instead of a request that stays for ever."""
    monkeypatch.setattr(body, "PATIENCE_S", 0.01)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    assert (await post(pieces())).status_code == 408
