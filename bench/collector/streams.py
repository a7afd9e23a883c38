"""What tests and measurements ask of Redis about the collector's streams."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from app.contracts.collector import CONSUMER_GROUP, SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM

STREAMS = (SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM)
PAST_CLAIM_MS = 60_000  # more than the collector waits before it takes over a delivery


async def pending(redis: Redis, stream: str = SEGMENTS_STREAM) -> int:
    """How many entries were delivered and not acknowledged."""
    answer: Any = await redis.xpending(stream, CONSUMER_GROUP)
    return int(answer["pending"])


async def is_settled(redis: Redis) -> bool:
    """Was everything that the streams hold delivered and acknowledged?"""
    try:
        for stream in STREAMS:
            info: Any = await redis.xinfo_stream(stream)
            groups: Any = await redis.xinfo_groups(stream)
            ours = [group for group in groups if group["name"] == CONSUMER_GROUP]
            if not ours or ours[0]["pending"] or ours[0]["last-delivered-id"] != info["last-generated-id"]:
                return False
    except (RedisError, OSError):
        return False
    return True


async def settled(redis: Redis, *, within_s: float = 30.0) -> float:
    """Wait until everything is acknowledged; return how many seconds that took.

    Raises:
        TimeoutError: it was not, in time.
    """
    started = time.monotonic()
    while not await is_settled(redis):
        if time.monotonic() - started > within_s:
            raise TimeoutError(f"entries are left after {within_s:g} s")
        await asyncio.sleep(0.02)
    return time.monotonic() - started


async def age_deliveries(redis: Redis) -> int:
    """Make every unacknowledged delivery look a minute old, so that it is taken over at once; return how many."""
    aged = 0
    for stream in STREAMS:
        try:
            found: Any = await redis.xpending_range(stream, CONSUMER_GROUP, "-", "+", 100_000)
        except ResponseError:  # nobody has read this stream yet
            continue
        for each in found:
            await redis.xclaim(
                stream, CONSUMER_GROUP, each["consumer"], 0, [each["message_id"]], idle=PAST_CLAIM_MS, justid=True
            )
        aged += len(found)
    return aged
