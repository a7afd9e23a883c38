"""Checks 37 and 38: readers that join in mid-speech, reconnect, or do not read."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from typing import Any

import httpx
from websockets.asyncio.client import connect

from bench.collector import streams
from bench.collector.words import Talk
from bench.usage import rss_bytes
from tests.collector.checks.live_client import LiveEvents, LiveSocket, Merged
from tests.collector.checks.load import talking
from tests.collector.checks.system import System, new_meeting, until

MIB = 2**20


async def test_37_joining_two_hundred_times_in_mid_speech(system: System):
    """Read by REST, then subscribe from there: after merging by id every final is there once, for every reader."""
    collector = await system.start()
    dice = random.Random(37)
    readers: list[LiveSocket] = []

    async def read(meeting: int) -> dict[str, Any]:
        """A database that two hundred ask at once may answer 503: a reader tries again."""
        while True:
            try:
                return await collector.transcript(meeting)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
            await asyncio.sleep(0.5)

    async def join(meeting: int) -> None:
        await asyncio.sleep(dice.random() * 5)
        transcript = await read(meeting)
        reader = LiveSocket(collector.url)
        for segment in transcript["segments"]:
            reader.segments[meeting][segment["segment_id"]] = segment
        await reader.__aenter__()
        readers.append(reader)
        await reader.subscribe(meeting, since_seq=transcript["seq"])

    async with talking(system, seconds=15, meetings=2, rate=20) as generator:
        await system.settled()
        await asyncio.gather(*(join(number) for number in list(generator.oracle.words) * 100))
    await system.settled()
    for reader in readers:
        (meeting,) = reader.segments
        await until(lambda: reader.shows(meeting, generator.oracle.words[meeting]), within_s=30)  # noqa: B023 - awaited
        await reader.__aexit__()
    assert len(readers) == 200
    assert min(sum(reader.arrivals.values()) for reader in readers) > 0, "somebody joined too late to be shown anything"


async def test_37_the_server_is_killed_under_a_reader(system: System):
    """The reader connects again with Last-Event-ID, and misses nothing."""
    collector = await system.start()
    reader = LiveEvents()
    async with talking(system, seconds=7, meetings=1, rate=40) as generator:
        await system.settled()
        (meeting,) = generator.oracle.words
        path = f"/transcripts/google_meet/{meeting}"
        first = asyncio.create_task(reader.read(collector.url, path))
        await asyncio.sleep(2)
        await collector.kill()
        await first
        shown = len(reader.texts(meeting))
        assert reader.last_id is not None
        assert 0 < shown < 300
        await asyncio.sleep(1)
        await streams.age_deliveries(system.redis)
        await collector.start()
        second = asyncio.create_task(reader.read(collector.url, path))
    await until(lambda: reader.shows(meeting, generator.oracle.words[meeting]))
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    again = sum(count > 1 for count in reader.arrivals.values())
    assert again < shown, "everything was sent again instead of what was missing"


async def test_38_a_reader_that_does_not_read(system: System):
    """Others get everything, the process grows by 20 MiB at most, and the reader is brought up to date later."""
    collector = await system.start()
    talk = Talk(new_meeting(), int(time.time() * 1000))
    await system.add(talk.start())
    await system.settled()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", collector.port))
    wanted = {"platform": "google_meet", "native_id": str(talk.meeting), "meeting_id": talk.meeting}
    padding = " and so on" * 2400
    async with (
        connect(f"ws://127.0.0.1:{collector.port}/ws", sock=raw, max_queue=1, compression=None) as slow,
        LiveSocket(collector.url) as healthy,
    ):
        await slow.send(json.dumps({"action": "subscribe", "meetings": [wanted]}))
        await healthy.subscribe(talk.meeting)
        words = [f"{talk.word(number)}{padding}" for number in range(420)]
        before = 0
        for number, text in enumerate(words):
            await system.add(talk.final(number) | {"segments": [talk.segment(number) | {"text": text}]})
            if number % 10 == 0:
                await until(lambda: _has(healthy, talk.meeting, number))  # noqa: B023 - awaited; so frames stay apart
            if number == 80:
                before = rss_bytes(collector.pid)
        await until(lambda: healthy.shows(talk.meeting, words))
        assert rss_bytes(collector.pid) - before < 20 * MIB
        assert await collector.metric("collector_live_resyncs_total") == 0
        merged = Merged()
        async with asyncio.timeout(30):
            while not await merged.shows(talk.meeting, words):
                merged.merge(json.loads(await slow.recv()))
        assert await collector.metric("collector_live_resyncs_total") >= 1


async def _has(reader: LiveSocket, meeting: int, number: int) -> bool:
    return len(reader.segments[meeting]) > number
