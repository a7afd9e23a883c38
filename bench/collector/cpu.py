"""What the collector costs while a hundred meetings speak and nobody reads."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.collector import streams
from bench.collector.collector import running
from bench.collector.generator import Generator, client
from bench.collector.places import Places
from bench.collector.words import Talk
from bench.usage import cpu_s

RATE = 60.0
MEETINGS = 100
WARM_UP_S = 10.0
SECONDS = 60.0


async def measure(places: Places) -> dict[str, Any]:
    """CPU time of the collector's process at 60 finals each second, as a share of one core."""
    talks = [Talk(meeting, int(time.time() * 1000)) for meeting in range(1, MEETINGS + 1)]
    generator = Generator(places.redis.url, talks)
    redis = client(places.redis.url)
    async with running(places.environment()) as collector:
        await generator.start()
        talking = asyncio.create_task(generator.talk(rate=RATE, seconds=WARM_UP_S + SECONDS))
        await asyncio.sleep(WARM_UP_S)
        began_s, began_cpu_s = time.monotonic(), cpu_s(collector.pid)
        await talking
        used = (cpu_s(collector.pid) - began_cpu_s) / (time.monotonic() - began_s)
        await streams.settled(redis)
    await generator.close()
    await redis.aclose()
    return {"finals_per_s": RATE, "cpu_share_of_a_core": round(used, 3)}
