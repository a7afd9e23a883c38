from __future__ import annotations

import logging

import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from app.collector.redis_io.connection import connect
from tests.collector.api.said import client
from tests.collector.fakes import FakeStore, services
from tests.collector.live.push import serving


class BrokenStore(FakeStore):
    """A store with bugs whose messages hold what somebody said."""

    async def meeting(self, *args, **kwargs):
        """Fail."""
        raise RuntimeError("SELECT ... 'a secret room'")

    async def meetings(self, *args, **kwargs):
        """Fail."""
        raise RuntimeError("INSERT ... 'a secret sentence'")


async def test_a_bug_is_a_500_without_its_text(caplog: pytest.LogCaptureFixture):
    """The client gets a plain text, the log the type and the line of code; neither gets the message."""
    with caplog.at_level(logging.DEBUG):
        async with client(services(store=BrokenStore())) as http:
            answer = await http.get("/meetings")
    assert answer.status_code == 500
    assert answer.json() == {"detail": "The server failed to answer. Please report the x-request-id."}
    line = next(record for record in caplog.records if record.getMessage() == "unhandled exception")
    described = line.__dict__["fields"]
    assert described["error"] == "RuntimeError"
    assert described["at"].startswith("test_unhandled_errors.py:")
    assert (described["request_id"], described["route"]) == (answer.headers["x-request-id"], "/meetings")
    assert "secret" not in answer.text + caplog.text


async def test_a_bug_closes_a_socket_without_its_text(caplog: pytest.LogCaptureFixture):
    """With 1011; the log has the type and the line of code, not the message."""
    with caplog.at_level(logging.DEBUG):
        async with (
            connect("redis://127.0.0.1:1/0") as redis,
            serving(BrokenStore(), redis) as server,
            open_socket(f"ws://{server.address}/ws") as ws,
        ):
            await ws.send('{"action": "subscribe", "meetings": [{"platform": "zoom", "native_id": "1"}]}')
            with pytest.raises(ConnectionClosed) as closed:
                await ws.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    ours = [record for record in caplog.records if record.name.startswith(("app.", "uvicorn"))]
    assert [record.getMessage() for record in ours if record.levelno >= logging.ERROR] == ["unhandled exception"]
    assert "secret" not in caplog.text
