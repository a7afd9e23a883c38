"""Kills, stops and outages in their full length: what Redis acknowledged is in the database, each word once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from bench.collector import streams
from bench.collector.collector import Collector, running
from bench.collector.generator import Generator, client, talking
from bench.collector.places import Places
from bench.collector.words import Talk, differences
from tests.collector.checks.databases import is_write_locked, write_locked

RATE = 200.0
MEETINGS = 20


async def measure(places: Places) -> dict[str, Any]:
    """Every fault on the same servers, each with meetings of its own."""
    found: dict[str, Any] = {}
    for number, fault in enumerate(FAULTS):
        found[fault.__name__] = await fault(places, 1000 * (number + 1))
        print(fault.__name__, found[fault.__name__], flush=True)
    return found


def _talking(places: Places, first: int, *, seconds: float) -> AbstractAsyncContextManager[Generator]:
    talks = [Talk(first + number, int(time.time() * 1000)) for number in range(MEETINGS)]
    return talking(places.redis.url, talks, rate=RATE, seconds=seconds)


async def _verdict(places: Places, collector: Collector, generator: Generator, **more: Any) -> dict[str, Any]:
    redis = client(places.redis.url)
    settled_s = await streams.settled(redis, within_s=90)
    await redis.aclose()
    expected = generator.oracle.words
    return {
        "finals": generator.oracle.count,
        "settled_s": round(settled_s, 1),
        "errors": differences(expected, await collector.words(expected)),
        **more,
    }


async def killed_every_2_s(places: Places, first: int) -> dict[str, Any]:
    """`kill -9` for a minute; nobody makes deliveries look older than they are."""
    kills = 0
    async with running(places.environment()) as collector:
        async with _talking(places, first, seconds=60) as generator:
            give_up = time.monotonic() + 60
            while time.monotonic() < give_up:
                await asyncio.sleep(2)
                await collector.kill()
                kills += 1
                await collector.start(ready=False)
        await collector.wait_until_ready()
        return await _verdict(places, collector, generator, kills=kills)


async def killed_with_200_in_hand(places: Places, first: int) -> dict[str, Any]:
    """Another collector is running, or started, and takes the entries over once they are 30 s old."""
    redis = client(places.redis.url)
    async with running(places.environment()) as victim:
        async with _talking(places, first, seconds=1) as generator:
            pass
        await streams.settled(redis)
        with write_locked(places.database_url):
            await generator.say(400)
            await _until(lambda: _in_hand(redis, 100))
            in_hand = await streams.pending(redis)
            await victim.kill()
            began_s = time.monotonic()
        async with running(places.environment()) as survivor:
            verdict = await _verdict(places, survivor, generator, in_hand=in_hand)
            verdict["taken_over_after_s"] = round(time.monotonic() - began_s, 1)
    await redis.aclose()
    return verdict


async def stopped_for_90_s(places: Places, first: int) -> dict[str, Any]:
    """SIGSTOP with entries in hand, which another collector stores meanwhile; then SIGCONT."""
    redis = client(places.redis.url)
    async with running(places.environment()) as sleeper, _talking(places, first, seconds=100) as generator:
        while True:
            sleeper.signal(signal.SIGSTOP)
            await asyncio.sleep(0.01)
            if await _in_hand(redis, 2) and not is_write_locked(places.database_url):
                break
            sleeper.signal(signal.SIGCONT)
            await asyncio.sleep(0.013)
        stopped_s = time.monotonic()
        async with running(places.environment()) as other:
            await asyncio.sleep(90 - (time.monotonic() - stopped_s))
            sleeper.signal(signal.SIGCONT)
            claimed = await other.metric("collector_claimed_total")
            await asyncio.sleep(8)
    async with running(places.environment()) as reader:
        verdict = await _verdict(places, reader, generator, claimed=claimed)
    await redis.aclose()
    return verdict


async def redis_hangs_for_40_s(places: Places, first: int) -> dict[str, Any]:
    """SIGSTOP of Redis: the probe answers 503 after 30 s, and everything recovers by itself."""
    async with running(places.environment()) as collector:
        async with _talking(places, first, seconds=50) as generator:
            await asyncio.sleep(3)
            os.kill(places.redis.pid, signal.SIGSTOP)
            await asyncio.sleep(40)
            told = not await collector.is_ready()
            os.kill(places.redis.pid, signal.SIGCONT)
            began_s = time.monotonic()
            await _until(collector.is_ready)
            ready_s = time.monotonic() - began_s
        return await _verdict(places, collector, generator, probe_said_so=told, ready_after_s=round(ready_s, 1))


async def redis_restarted(places: Places, first: int) -> dict[str, Any]:
    """SIGKILL of Redis every 5 s; its file of appended commands is kept."""
    async with running(places.environment()) as collector:
        async with _talking(places, first, seconds=30) as generator:
            for _ in range(5):
                await asyncio.sleep(4)
                await asyncio.to_thread(places.redis.stop, signal.SIGKILL)
                await asyncio.sleep(1)
                await asyncio.to_thread(places.redis.start)
        return await _verdict(places, collector, generator, written_again=generator.oracle.repeated)


async def _in_hand(redis: Any, count: int) -> bool:
    return await streams.pending(redis) >= count


async def _until(question: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await question():  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.02)


Fault = Callable[[Places, int], Awaitable[dict[str, Any]]]
FAULTS: Final[tuple[Any, ...]] = (
    killed_every_2_s,
    killed_with_200_in_hand,
    stopped_for_90_s,
    redis_hangs_for_40_s,
    redis_restarted,
)
