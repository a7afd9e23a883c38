from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.http.middleware.unhandled_errors import UnhandledErrors
from app.http.request_record import RequestRecord
from tests.clients import Worker


@pytest.mark.parametrize(
    "raised", [RuntimeError("sk-secret"), ExceptionGroup("sk-secret", [ValueError("x")]), KeyError("x")]
)
async def test_unexpected_error_leaks_nothing(open_worker: Worker, caplog: pytest.LogCaptureFixture, raised: Exception):
    """A bug is a 500 in the envelope with the request id; its text goes to the log, not to the client."""

    @open_worker.app.get("/bug")
    async def bug() -> None:
        raise raised

    answer = await open_worker.client.get("/bug", headers={"x-request-id": "r-1"})
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("server_error", None)
    assert answer.headers["x-request-id"] == "r-1"
    assert not any(word in answer.text for word in ("secret", "Error", "Traceback", ".py"))
    (logged,) = [line for line in caplog.records if line.exc_info]
    assert logged.__dict__["fields"]["request_id"] == "r-1"


async def test_cancellation_is_answered_and_passed_on():
    """When the grace period of a shutdown is over, a request without an answer gets a 503."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "path": "/", "record": RequestRecord("r")}
    with pytest.raises(asyncio.CancelledError):
        await UnhandledErrors(app)(scope, receive, send)
    assert sent[0]["status"] == 503
    assert json.loads(sent[1]["body"])["error"]["code"] == "shutting_down"


async def test_an_error_after_the_first_byte_sends_nothing_more():
    """After the status has been sent nothing else can be."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("x")

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await UnhandledErrors(app)({"type": "http", "path": "/", "record": RequestRecord("r")}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]
