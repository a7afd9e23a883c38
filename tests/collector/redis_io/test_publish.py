from __future__ import annotations

import json
from typing import Any

from app.collector.facts import Entry, Revision, Room, SegmentFact, Segments
from app.collector.redis_io.connection import Client
from app.collector.redis_io.publish import Publisher
from app.collector.rows import Applied
from app.contracts.collector import meeting_channel
from tests.collector.fake_store import FakeStore
from tests.collector.plain_entries import frames
from tests.servers import RedisServer


async def result() -> Applied:
    """A transaction that changed meeting 42."""
    fact = Segments((SegmentFact("k", has_id=True, text="Grüße", completed=True),))
    room = Room("google_meet", "abc", meeting_id=42)
    return await FakeStore().apply([Entry("s", Revision(1, 0), room, "c1", None, "c1", (fact,))])


async def test_frames_reach_the_meetings_channel(redis: Client):
    """As JSON, one message for each frame."""
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(meeting_channel(42))
        await subscription.get_message(timeout=1)
        await Publisher(redis, frames).publish(await result())
        message: Any = await subscription.get_message(timeout=5)
    assert json.loads(message["data"]) == {"seq": 1, "texts": ["Grüße"]}


async def test_redis_away_harms_nothing(redis: Client, redis_server: RedisServer):
    """What was committed is committed; readers notice the gap."""
    redis_server.stop()
    await Publisher(redis, frames).publish(await result())
    await Publisher(redis, frames).publish(Applied())
