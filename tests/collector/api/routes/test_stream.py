from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.collector.facts import Segments
from app.collector.redis_io.connection import Client, connect
from tests.collector.clock import FakeClock
from tests.collector.fake_store import FakeStore
from tests.collector.live.push import NATIVE, PLATFORM, Meeting, Merged, Server, serving, until
from tests.servers import RedisServer

PATH = f"/transcripts/{PLATFORM}/{NATIVE}/stream"


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Client]:
    """A client of a Redis of its own."""
    async with connect(redis_server.url) as client:
        yield client


@pytest.fixture
async def meeting(redis: Client) -> Meeting:
    """A meeting in which one final was said."""
    found = Meeting(FakeStore(), redis)
    await found.begin()
    await found.say("one")
    return found


@dataclass
class Event:
    """A server-sent event, or a comment."""

    name: str = ""
    id: str = ""
    data: dict[str, Any] | None = None
    comment: str = ""


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    """The events of a response."""
    event = Event()
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        match name:
            case "event":
                event.name = value
            case "id":
                event.id = value
            case "data":
                event.data = json.loads(value)
            case "retry":
                event.comment = line
        if not line:
            yield event
            event = Event()


class Reader:
    """An EventSource: merges events and remembers the last id."""

    def __init__(self) -> None:
        self.merged = Merged()
        self.last_id = ""

    async def read(self, server: Server, *, finals: int, since_seq: int = 0) -> None:
        """Read until there are so many finals."""
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        url = f"http://{server.address}{PATH}"
        async with (
            httpx.AsyncClient(timeout=30) as http,
            http.stream("GET", url, headers=headers, params={"since_seq": since_seq}) as response,
        ):
            assert response.status_code == 200
            async for event in events(response):
                if event.data is not None:
                    self.merged.take(event.data)
                    self.last_id = event.id or self.last_id
                if len(self.merged.finals) >= finals:
                    return


async def test_events_have_names_ids_and_a_retry(meeting: Meeting, redis: Client):
    """The reconnection time comes first; then events whose ids are meeting and seq."""
    async with (
        serving(meeting.store, redis) as server,
        httpx.AsyncClient() as http,
        http.stream("GET", f"http://{server.address}{PATH}") as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        found = events(response)
        assert (await anext(found)).comment == "retry: 2000"
        event = await anext(found)
        assert (event.name, event.id) == ("transcript", f"{meeting.id}-0")
        event = await anext(found)
        assert (event.name, event.id) == ("status", f"{meeting.id}-1")
        await meeting.retract("c1:0")
        while (event := await anext(found)).name != "retract":
            pass
        assert event.data is not None
        assert event.data["segment_ids"] == ["c1:0"]


async def test_unknown_meetings_and_strangers_get_404(meeting: Meeting, redis: Client):
    """With a time to retry, because the meeting may begin at any moment; a missing key is 403."""
    async with serving(meeting.store, redis, keys=("k1",)) as server, httpx.AsyncClient() as http:
        answer = await http.get(f"http://{server.address}/transcripts/zoom/1/stream?api_key=k1")
        assert answer.status_code == 404
        assert answer.headers["retry-after"] == "1"
        assert answer.json() == {"detail": "Meeting not found for platform zoom and ID 1"}
        assert (await http.get(f"http://{server.address}{PATH}")).status_code == 403
        strange = await http.get(f"http://{server.address}{PATH}?api_key=k1", headers={"Last-Event-ID": "77-3"})
        assert strange.status_code == 404


async def test_a_comment_comes_after_15_seconds_of_silence(meeting: Meeting, redis: Client):
    """Proxies close connections on which nothing moves."""
    clock = FakeClock()
    async with (
        serving(meeting.store, redis, clock=clock) as server,
        httpx.AsyncClient() as http,
        http.stream("GET", f"http://{server.address}{PATH}") as response,
    ):
        lines = response.aiter_lines()
        while not (await anext(lines)).startswith("event: status"):
            pass
        (client,) = server.app.state.live._clients
        await until(lambda: not client._wake.is_set())
        await clock.advance(14)
        assert not client._replies
        await clock.advance(2)
        while (line := await anext(lines)) != ": still here":
            assert not line.startswith("event")


async def test_a_stop_ends_the_streams(meeting: Meeting, redis: Client):
    """The response ends; the browser comes again by itself."""
    async with (
        serving(meeting.store, redis) as server,
        httpx.AsyncClient() as http,
        http.stream("GET", f"http://{server.address}{PATH}") as response,
    ):
        lines = response.aiter_lines()
        await anext(lines)
        await server.stop()
        async for line in lines:
            assert line is not None


async def test_200_readers_that_come_in_mid_speech_miss_nothing(meeting: Meeting, redis: Client):
    """Wherever a reader enters, with the seq it has, each final comes exactly once after merging by id."""
    n_finals = 120
    readers = [Reader() for _ in range(200)]
    dice = random.Random(37)

    async def speak() -> None:
        for n in range(1, n_finals):
            if dice.random() < 0.1:  # a frame is lost with its collector
                await meeting.commit(Segments((meeting.final(f"w{n:05}"),)), publish=False)
            else:
                await meeting.say(f"w{n:05}")
            await asyncio.sleep(0.02)

    async def enter(reader: Reader, server: Server, after_s: float) -> None:
        await asyncio.sleep(after_s)
        known = meeting.store.found[meeting.id].row.seq
        since = dice.choice((0, known // 2, known))
        for row in meeting.store.found[meeting.id].changed_since(-1):  # what the client read by REST
            if row.seq <= since:
                reader.merged.finals[row.key] = row.text
        await reader.read(server, finals=n_finals, since_seq=since)

    async with serving(meeting.store, redis) as server:
        entering = [enter(each, server, dice.random() * 2.5) for each in readers]
        await asyncio.wait_for(asyncio.gather(speak(), *entering), 120)
    assert meeting.said[0] == "one"
    for reader in readers:
        assert sorted(reader.merged.finals.items()) == sorted((f"c1:{n}", text) for n, text in enumerate(meeting.said))


async def test_a_killed_server_leaves_no_gap(meeting: Meeting, redis: Client):
    """Readers that reconnect to another process with Last-Event-ID miss nothing that was said in between."""
    readers = [Reader() for _ in range(20)]
    async with serving(meeting.store, redis) as first:
        reading = [asyncio.create_task(each.read(first, finals=200)) for each in readers]
        for n in range(40):
            await meeting.say(f"a{n}")
        await until(lambda: all(len(each.merged.finals) > 5 for each in readers))
        await first.kill()
        await asyncio.gather(*reading, return_exceptions=True)
    for n in range(40):
        await meeting.say(f"b{n}")
    async with serving(meeting.store, redis) as second:
        reading = [asyncio.create_task(each.read(second, finals=len(meeting.said) + 20)) for each in readers]
        for n in range(20):
            await meeting.say(f"c{n}")
        await asyncio.wait_for(asyncio.gather(*reading), 60)
    for reader in readers:
        assert [text for _, text in sorted(reader.merged.finals.items(), key=lambda each: int(each[0][3:]))] == (
            meeting.said
        )
