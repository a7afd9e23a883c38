"""Reading a long transcript, asking whether it changed, and searching in a million segments."""

from __future__ import annotations

import random
import time
from typing import Any

import httpx

from bench.collector import corpus, streams
from bench.collector.collector import running
from bench.collector.generator import Generator, client
from bench.collector.numbers import milliseconds
from bench.collector.places import Places
from bench.collector.words import Talk

LONG = 3000
REQUESTS = 100
SEARCHES = 200


async def measure(places: Places, *, segments: int) -> dict[str, Any]:
    """One request at a time, from another process."""
    talk = Talk(1, int(time.time() * 1000))
    generator = Generator(places.redis.url, [talk])
    redis = client(places.redis.url)
    async with running(places.environment()) as collector:
        await generator.start()
        for _ in range(LONG // 500):
            await generator.say(500)
        await streams.settled(redis)
        path = "/transcripts/by-id/1"
        answer = await collector.http.get(path)
        if len(answer.json()["segments"]) != LONG:
            raise RuntimeError("the transcript is not complete")
        whole = await _timed(collector.http, path, {}, [{}] * REQUESTS, status=200)
        tag = {"If-None-Match": answer.headers["etag"]}
        unchanged = await _timed(collector.http, path, tag, [{}] * REQUESTS, status=304)
        result: dict[str, Any] = {"whole": milliseconds(whole), "unchanged": milliseconds(unchanged)}
        await collector.stop()
        began_s = time.monotonic()
        corpus.fill(places.database_url, segments)
        result["filled_s"] = round(time.monotonic() - began_s)
        await collector.start()
        dice = random.Random(7)  # noqa: S311 - no key
        for name, queries in corpus.queries(dice, SEARCHES).items():
            asked = [{"q": query} for query in queries]
            result[f"search_{name}"] = milliseconds(await _timed(collector.http, "/search", {}, asked, status=200))
        result["segments"] = segments
    await generator.close()
    await redis.aclose()
    return result


async def _timed(
    http: httpx.AsyncClient, path: str, headers: dict[str, str], asked: list[dict[str, str]], *, status: int
) -> list[float]:
    took = []
    for params in asked:
        began_s = time.monotonic()
        answer = await http.get(path, headers=headers, params=params)
        took.append(time.monotonic() - began_s)
        if answer.status_code != status:
            raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text[:200]}")
    return took
