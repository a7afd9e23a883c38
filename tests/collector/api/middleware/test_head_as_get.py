from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi.responses import StreamingResponse

from app.collector.api.middleware.head_as_get import HeadAsGet
from tests.collector.api.said import PATH, client, say
from tests.collector.fakes import FakeStore, services


@pytest.mark.parametrize("path", ["/meetings", PATH, f"{PATH}?format=vtt", "/health/live", "/openapi.json", "/"])
async def test_head_has_the_headers_of_get(path: str):
    """The same status and headers, no body."""
    store = FakeStore()
    await say(store, "Hello.")
    async with client(services(store=store)) as http:
        got, headed = await http.get(path), await http.head(path)
    assert (headed.status_code, headed.content) == (got.status_code, b"")
    varies = {"x-request-id"}
    assert {k: v for k, v in headed.headers.items() if k not in varies} == {
        k: v for k, v in got.headers.items() if k not in varies
    }


async def test_head_of_an_endless_stream_ends():
    """A live stream is left at its first piece."""

    async def endless() -> AsyncIterator[bytes]:
        yield b": hello\n\n"
        await asyncio.Event().wait()

    app = HeadAsGet(StreamingResponse(endless(), media_type="text/event-stream"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        answer = await asyncio.wait_for(http.head("/"), 5)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
