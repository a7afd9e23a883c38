from __future__ import annotations

import asyncio
import json
import signal
import socket
from pathlib import Path

from websockets.asyncio.client import connect as open_socket

from app.collector.live.queue import MAX_CHARACTERS, MAX_FRAMES
from app.collector.redis_io.connection import connect
from app.contracts.collector import draft_key
from tests.collector.fake_store import FakeStore
from tests.collector.live.push import NATIVE, PLATFORM, Meeting, Merged, serving, until
from tests.servers import RedisServer

SUBSCRIBE = json.dumps({"action": "subscribe", "meetings": [{"platform": PLATFORM, "native_id": NATIVE}]})


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def merge_until(ws, merged: Merged, finals: int) -> None:
    """Merge frames until there are so many finals."""
    while len(merged.finals) < finals:
        merged.take(json.loads(await ws.recv()))


async def test_a_client_that_does_not_read_harms_nobody(redis_server: RedisServer):
    """Others get everything at once, memory stays bounded, and the client is brought up to date when it reads."""
    async with connect(redis_server.url) as redis:
        meeting = Meeting(FakeStore(), redis)
        await meeting.begin()
        async with serving(meeting.store, redis) as server:
            host, port = server.address.split(":")
            slow = socket.create_connection((host, int(port)))
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            async with (
                open_socket("ws://x/ws", sock=slow, max_queue=1, compression=None, ping_interval=None) as deaf,
                open_socket(f"ws://{server.address}/ws") as ws,
            ):
                await deaf.send(SUBSCRIBE)
                await ws.send(SUBSCRIBE)
                merged = Merged()
                before = resident_bytes()
                for n in range(1000):
                    await meeting.say(f"{n:05} " + "x" * 8000)
                    if n % 50 == 0:
                        await merge_until(ws, merged, n)
                await merge_until(ws, merged, 1000)
                clients = list(server.app.state.live._clients)
                assert all(len(each._queue) <= MAX_FRAMES for each in clients)
                assert all(each._queue._characters <= MAX_CHARACTERS for each in clients)
                ours = sum(len(text) for text in meeting.said) * 4  # the store's, and the reader's own
                assert resident_bytes() - before - ours < 20 << 20
                late = Merged()
                await merge_until(deaf, late, 1000)
                assert late.finals == merged.finals
                assert server.services.metrics.live_resyncs._value.get() >= 1


async def test_without_redis_the_store_is_asked_each_second(redis_server: RedisServer):
    """Finals still arrive while Redis is away, and frames when it is back."""
    async with connect(redis_server.url) as redis:
        meeting = Meeting(FakeStore(), redis)
        await meeting.begin()
        await meeting.say("one")
        async with serving(meeting.store, redis) as server, open_socket(f"ws://{server.address}/ws") as ws:
            await ws.send(SUBSCRIBE)
            merged = Merged()
            await merge_until(ws, merged, 1)
            redis_server.stop(signal.SIGKILL)
            await meeting.commit(meeting.segments("two"), publish=False)
            await merge_until(ws, merged, 2)
            redis_server.start()
            await until(lambda: server.app.state.live._hub.connected)
            async with connect(redis_server.url) as fresh:
                meeting.redis = fresh
                await meeting.say("three")
                await merge_until(ws, merged, 3)
    assert list(merged.finals.values()) == ["one", "two", "three"]


async def test_what_was_being_said_is_shown_to_a_new_reader(redis_server: RedisServer):
    """The drafts that the gateway left in Redis are read at the subscription."""
    async with connect(redis_server.url) as redis:
        meeting = Meeting(FakeStore(), redis)
        await meeting.begin()
        await meeting.say("one")
        await redis.set(draft_key("c1"), meeting.draft_message("and then", after=1))
        async with serving(meeting.store, redis) as server, open_socket(f"ws://{server.address}/ws") as ws:
            await ws.send(SUBSCRIBE)
            merged = Merged()
            while merged.drafts != ["and then"]:
                merged.take(json.loads(await ws.recv()))
            assert list(merged.finals.values()) == ["one"]


async def test_a_new_session_s_drafts_are_followed(redis_server: RedisServer):
    """The frame of its start names it."""
    async with connect(redis_server.url) as redis:
        meeting = Meeting(FakeStore(), redis)
        await meeting.begin()
        other = Meeting(meeting.store, redis, connection_id="c2")
        async with serving(meeting.store, redis) as server, open_socket(f"ws://{server.address}/ws") as ws:
            await ws.send(SUBSCRIBE)
            merged = Merged()
            while not merged.statuses:
                merged.take(json.loads(await ws.recv()))
            await other.begin()
            await other.say("hello")
            await merge_until(ws, merged, 1)
            await until(lambda: "c2" in server.app.state.live._feeds[meeting.id]._drafts.sessions)
            await asyncio.sleep(0)
            await redis.set(draft_key("c2"), other.draft_message("more", after=1))
            while merged.drafts != ["more"]:
                await other.draft("more", after=1)
                merged.take(json.loads(await ws.recv()))
