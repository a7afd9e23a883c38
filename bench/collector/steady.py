"""A hundred meetings at 60 finals each second: latency and memory, and whether everything arrives."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from bench.collector import streams
from bench.collector.collector import Collector, running
from bench.collector.generator import Generator, client
from bench.collector.numbers import milliseconds, slope
from bench.collector.places import Places
from bench.collector.words import Talk, differences
from bench.usage import cpu_s, rss_bytes

RATE = 60.0
MEETINGS = 100
WARM_UP_S = 20.0
SAMPLE_EVERY_S = 5.0
PROBE_EVERY_S = 0.5
POLL_S = 0.005
MIB = 2**20


async def measure(places: Places, *, seconds: float) -> dict[str, Any]:
    """Talk for so long; sample memory every 5 s, and follow a word from XADD to REST twice each second."""
    start_ms = int(time.time() * 1000)
    generator = Generator(places.redis.url, [Talk(meeting, start_ms) for meeting in range(1, MEETINGS + 1)])
    probe = Generator(places.redis.url, [Talk(MEETINGS + 1, start_ms)])
    redis = client(places.redis.url)
    memory: list[tuple[float, float]] = []
    async with running(places.environment()) as collector:
        await generator.start()
        await probe.start()
        latencies: list[float] = []
        talking = asyncio.create_task(generator.talk(rate=RATE, seconds=WARM_UP_S + seconds))
        await asyncio.sleep(WARM_UP_S)
        began_s, began_cpu_s = time.monotonic(), cpu_s(collector.pid)
        others = [
            asyncio.create_task(_probe(probe, collector, latencies)),
            asyncio.create_task(_sample(collector.pid, memory)),
        ]
        await talking
        used = (cpu_s(collector.pid) - began_cpu_s) / (time.monotonic() - began_s)
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await generator.end()
        await streams.settled(redis)
        stored = {**generator.oracle.words, **probe.oracle.words}
        errors = differences(stored, await collector.words(stored))
        info: Any = await redis.info("memory")
        result = {
            "seconds": seconds,
            "finals": generator.oracle.count,
            "xadd_to_rest": {"samples": len(latencies), **milliseconds(latencies)},
            "cpu_share_of_a_core_with_readers": round(used, 3),
            "memory_mib": _memory(memory),
            "redis_mib": round(info["used_memory"] / MIB, 1),
            "errors": errors,
        }
    for each_generator in (generator, probe):
        await each_generator.close()
    await redis.aclose()
    return result


def _memory(points: list[tuple[float, float]]) -> dict[str, float]:
    """Start, middle and end of the run; the slope is that of its second half, after caches and pools have filled."""
    half = points[len(points) // 2 :]
    return {
        "start": round(points[0][1], 1),
        "middle": round(half[0][1], 1),
        "end": round(points[-1][1], 1),
        "slope_per_hour": round(slope(half) * 3600, 1),
    }


async def _sample(pid: int, points: list[tuple[float, float]]) -> None:
    while True:
        points.append((time.monotonic(), rss_bytes(pid) / MIB))
        await asyncio.sleep(SAMPLE_EVERY_S)


async def _probe(generator: Generator, collector: Collector, latencies: list[float]) -> None:
    """Say a word, and ask for changes until it is there: the clock runs from before XADD."""
    (meeting,) = generator.oracle.words
    seq = 0
    async with httpx.AsyncClient(base_url=collector.url) as http:
        while True:
            began_s = time.monotonic()
            await generator.say(1)
            word = generator.oracle.words[meeting][-1]
            while True:
                answer = await http.get(f"/transcripts/by-id/{meeting}", params={"since_seq": seq, "limit": 5})
                body = answer.json()
                if any(each["text"] == word for each in body.get("segments", ())):
                    break
                await asyncio.sleep(POLL_S)
            seq = body["seq"]
            latencies.append(time.monotonic() - began_s)
            await asyncio.sleep(max(0.0, PROBE_EVERY_S - (time.monotonic() - began_s)))
