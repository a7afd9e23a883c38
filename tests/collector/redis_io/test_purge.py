from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.collector.redis_io.connection import Client
from app.collector.redis_io.groups import create_groups
from app.collector.redis_io.purge import Purger, belongs
from app.collector.rows import Deletion, MeetingRow
from app.contracts.collector import draft_key
from tests.collector.fake_store import FakeStore
from tests.servers import RedisServer

MEETING = MeetingRow(42, 1, "google_meet", "abc", "completed", None, None, {}, 3, None, 0, 0)
DELETION = Deletion(MEETING, ("c1", "-"), {"s": ("3-0", "5-0")})


async def left(redis: Client, stream: str = "s") -> list[str]:
    """The ids in a stream."""
    found: Any = await redis.xrange(stream)
    return [id_ for id_, _ in found]


@pytest.fixture
async def filled(redis: Client) -> Client:
    """Six entries: two acknowledged, two pending, two unread."""
    await create_groups(redis, ["s"], "g")
    for n in range(1, 7):
        await redis.xadd("s", {"payload": n}, id=f"{n}-0")
    await redis.xreadgroup("g", "c", {"s": ">"}, count=4)
    await redis.xack("s", "g", "1-0", "2-0")
    return redis


async def test_stored_entries_go_at_once(filled: Client):
    """By id, and all that every group has acknowledged; entries of others that are needed stay."""
    store = FakeStore()
    await Purger(filled, store, ["s"]).purge(DELETION)
    assert await left(filled) == ["4-0", "6-0"]
    assert [name for name, _ in store.calls] == ["checkpoint"]


async def test_what_was_unread_goes_when_it_was_read(filled: Client):
    """Sweeping again removes what was in the stream at the deletion, and then stops."""
    purger = Purger(filled, FakeStore(), ["s"])
    await purger.purge(DELETION)
    await filled.xreadgroup("g", "c", {"s": ">"})
    await filled.xack("s", "g", "3-0", "4-0", "6-0")
    await purger.sweep()
    assert await left(filled) == []
    await filled.xadd("s", {"payload": 7}, id="7-0")
    await filled.xreadgroup("g", "c", {"s": ">"})
    await filled.xack("s", "g", "7-0")
    await purger.sweep()
    assert await left(filled) == ["7-0"]


async def test_late_entries_are_cut(filled: Client):
    """After `cut`, what the stream holds goes as soon as it is acknowledged."""
    purger = Purger(filled, FakeStore(), ["s", "none"])
    await purger.cut()
    await filled.xreadgroup("g", "c", {"s": ">"})
    await filled.xack("s", "g", *(f"{n}-0" for n in range(3, 7)))
    await purger.sweep()
    assert await left(filled) == []


async def test_drafts_and_dead_letters_go(filled: Client):
    """The drafts of its sessions, and each dead letter that names it; those of others stay."""
    await filled.set(draft_key("c1"), "[]")
    await filled.set(draft_key("c2"), "[]")
    bodies = [
        json.dumps({"meeting_id": 42}),
        json.dumps({"meeting_id": 43}),
        '{"connection_id": "c1", broken',
        "broken",
    ]
    for n, body in enumerate(bodies):
        await filled.xadd(
            "s:dead", {"payload": body, "id": f"{n + 90}-0", "error": "x", "deliveries": 1}, id=f"{n + 1}-0"
        )
    await filled.xadd("s:dead", {"payload": "?", "id": "5-0", "error": "x", "deliveries": 1}, id="9-0")
    await Purger(filled, FakeStore(), ["s"]).purge(DELETION)
    assert await left(filled, "s:dead") == ["2-0", "4-0"]
    assert await filled.exists(draft_key("c1")) == 0
    assert await filled.exists(draft_key("c2")) == 1


async def test_purge_waits_for_redis(filled: Client, redis_server: RedisServer):
    """A deletion succeeds while Redis is away, and its copies go when it is back."""
    purger = Purger(filled, FakeStore(), ["s"])
    redis_server.stop()
    await purger.purge(DELETION)
    redis_server.start()
    await purger.sweep()
    assert await left(filled) == ["4-0", "6-0"]


async def test_purge_waits_for_the_database(filled: Client):
    """The log of the database is emptied when it answers again."""
    store = FakeStore()
    store.away = True
    purger = Purger(filled, store, ["s"])
    await purger.purge(DELETION)
    store.away = False
    await purger.sweep()
    assert [name for name, _ in store.calls] == ["checkpoint"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"meeting_id": 42}, True),
        ({"meeting_id": "42"}, True),
        ({"meeting_id": "abc", "platform": "google_meet"}, True),
        ({"native_meeting_id": "abc"}, True),
        ({"meeting_id": "abc", "platform": "teams"}, False),
        ({"uid": "c1"}, True),
        ({"uid": "-"}, False),
        ({"uid": ["c1"]}, False),
        ({"meeting_id": True}, False),
        ({"text": "abc c1 42"}, False),
        (["abc"], False),
    ],
)
def test_whose_a_dead_letter_is(body: object, expected: bool):  # noqa: FBT001 - a parameter of the table
    """Only fields that name a meeting or a session count."""
    assert belongs(json.dumps(body), DELETION) is expected


def test_dead_letter_that_is_no_json_is_searched():
    """For quoted names only, so that a short name does not match a part of a longer one."""
    assert belongs('{"meeting_id":"abc",', DELETION)
    assert not belongs('{"meeting_id":"abcd",', DELETION)


async def test_a_request_and_the_background_job_may_sweep_at_once(filled: Client):
    """Two sweeps over one deletion do it once, and neither fails."""
    store = FakeStore()
    purger = Purger(filled, store, ["s"])
    await asyncio.gather(purger.purge(DELETION), purger.sweep(), purger.sweep())
    assert await left(filled) == ["4-0", "6-0"]
    assert [name for name, _ in store.calls] == ["checkpoint"]
