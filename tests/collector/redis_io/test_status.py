from __future__ import annotations

import json

import pytest

from app.collector.redis_io.connection import Client
from app.collector.redis_io.status import Ended, endings, read_status
from app.contracts.collector import status_channel


def message(status: object, meeting_id: object = 42) -> str:
    """What Vexa publishes."""
    return json.dumps({"type": "meeting.status", "meeting": {"id": meeting_id}, "payload": {"status": status}})


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_statuses_that_end_a_meeting(status: str):
    """Numbers may come as text."""
    assert read_status(message(status, "42")) == Ended(42, status)


@pytest.mark.parametrize(
    "text",
    [message("active"), message(["completed"]), message("completed", "abc"), "[]", "{}", "no JSON", "[" * 99_999],
)
def test_everything_else_ends_nothing(text: str):
    """Other statuses, and messages that are none, are passed over."""
    assert read_status(text) is None


async def test_endings_are_heard(redis: Client):
    """A message on a meeting's status channel arrives; silence gives None."""
    heard = endings(redis)
    assert await anext(heard) is None
    await redis.publish(status_channel(42), message("completed"))
    assert await anext(heard) == Ended(42, "completed")
    await heard.aclose()
