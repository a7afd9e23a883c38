"""How fast a backlog is stored, and how fast entries are recognised that were stored before."""

from __future__ import annotations

import time
from typing import Any

from bench.collector import streams
from bench.collector.collector import Collector, running
from bench.collector.generator import Generator, client
from bench.collector.places import Places
from bench.collector.words import Talk, differences
from bench.usage import cpu_s

FINALS = 40_000
MEETINGS = 100
AT_ONCE = 500


async def measure(places: Places) -> dict[str, Any]:
    """Finals of 100 meetings that wait in the stream when the collector starts, then the same entries again."""
    talks = [Talk(meeting, 1_771_147_203_101) for meeting in range(1, MEETINGS + 1)]
    redis = client(places.redis.url, timeout_s=60)
    async with running(places.environment()) as collector:  # makes the tables and the group
        await collector.stop()
        new = await _backlog(places, talks)
        result: dict[str, Any] = {"new": await _drain(collector, redis)}
        await collector.stop()
        await _backlog(places, talks)
        result["same"] = await _drain(collector, redis)
        result["errors"] = differences(new.oracle.words, await collector.words(new.oracle.words))
    await redis.aclose()
    return result


async def _backlog(places: Places, talks: list[Talk]) -> Generator:
    generator = Generator(places.redis.url, talks)
    await generator.start()
    for _ in range(FINALS // AT_ONCE):
        await generator.say(AT_ONCE)
    await generator.close()
    return generator


async def _drain(collector: Collector, redis: Any) -> dict[str, float]:
    """Start the collector and wait until the stream is stored; its start counts neither as time nor as CPU time."""
    await collector.start(ready=False)
    while await streams.pending(redis) == 0:
        pass
    started_s, began_cpu_s = time.monotonic(), cpu_s(collector.pid)
    await streams.settled(redis, within_s=300)
    seconds = time.monotonic() - started_s
    used_s = cpu_s(collector.pid) - began_cpu_s
    await collector.wait_until_ready()
    return {
        "entries": FINALS,
        "entries_per_s": round(FINALS / seconds),
        "cpu_s_per_1000": round(used_s / FINALS * 1000, 3),
    }
