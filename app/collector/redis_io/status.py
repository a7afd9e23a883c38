"""Listen to what Vexa says about its meetings: one that is completed or failed is over."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

from app.collector.redis_io.connection import Client
from app.contracts.collector import status_channel
from app.core.json_guard import load_json

OVER: Final = ("completed", "failed")


@dataclass(frozen=True, slots=True)
class Ended:
    """A meeting is over."""

    meeting_id: int
    status: str


def read_status(message: str) -> Ended | None:
    """`{"type":"meeting.status","meeting":{"id":42},"payload":{"status":"completed"}}`; None if it ends nothing."""
    try:
        body = load_json(message)
        meeting_id, status = int(body["meeting"]["id"]), body["payload"]["status"]
    except (ValueError, KeyError, TypeError, json.JSONDecodeError):
        return None
    return Ended(meeting_id, status) if status in OVER else None


async def endings(redis: Client) -> AsyncGenerator[Ended | None]:
    """Meetings that are over, as they are told; None about every second while nobody says anything.

    Raises:
        RedisFailure: Redis is away; what it says meanwhile is missed.
    """
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.psubscribe(status_channel("*"))
        while True:
            message: Any = await subscription.get_message(timeout=1.0)
            yield read_status(message["data"]) if message is not None else None
