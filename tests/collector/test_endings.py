from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from app.collector.endings import Endings
from app.collector.facts import Entry, Revision, Room, SegmentFact, Segments
from app.collector.health import Health
from app.collector.redis_io.connection import connect
from app.collector.rows import Applied
from app.contracts.collector import status_channel
from tests.collector.clock import FakeClock
from tests.collector.fake_store import FakeStore
from tests.servers import RedisServer


async def until(holds: Callable[[], bool], clock: FakeClock) -> None:
    """Let time pass until something holds."""
    async with asyncio.timeout(20):
        while not holds():
            await clock.advance(5)
            await asyncio.sleep(0.005)


async def test_a_completed_meeting_ends(redis_server: RedisServer):
    """Also after Redis was restarted and the database was away; readers are told."""
    store, clock, published = FakeStore(), FakeClock(), list[Applied]()
    fact = Segments((SegmentFact("k", has_id=True, text="x", completed=True),))
    for id_ in (41, 42):
        await store.apply([Entry("s", Revision(1, 0), Room("zoom", str(id_), id_), "c1", None, "c1", (fact,))])

    async def now_ms() -> int:
        return 7

    async def publish(result: Applied) -> None:
        published.append(result)

    async with connect(redis_server.url) as redis:

        async def say(meeting_id: int) -> int:
            body = {"meeting": {"id": meeting_id}, "payload": {"status": "completed"}}
            return int(await redis.publish(status_channel(meeting_id), json.dumps(body)))

        running = asyncio.create_task(
            Endings(store, redis, now_ms, publish, Health(clock.monotonic, lag_alarm_s=1), clock).run()
        )
        while not await say(41):
            await asyncio.sleep(0.005)
        await until(lambda: len(published) == 1, clock)
        redis_server.stop()
        redis_server.start()
        store.away = True
        heard = False
        while not heard:
            await clock.advance(5)
            await asyncio.sleep(0.005)
            try:
                heard = bool(await say(42))
            except OSError:
                continue
        store.away = False
        while not published[1:]:
            await clock.advance(5)
            await say(42)
            await asyncio.sleep(0.005)
        running.cancel()
    assert [result.changes[0].meeting.status for result in published[:2]] == ["completed", "completed"]
    assert store.calls[0] == ("end_meeting", 7)
