"""The load: which request comes when, and how many at once. Async."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.caller import Caller
from tests.chaos.hangups import Leavers
from tests.chaos.speakers import Speakers
from tests.chaos.uploads import Upload, Uploads

# Of a hundred arrivals.
WEIGHTS = {
    "file": 24,
    "format": 16,
    "realtime": 16,
    "stream": 12,
    "json body": 6,
    "translation": 4,
    "long": 2,
    "bad input": 12,
    "hang-up": 5,
    "live hang-up": 2,
    "live bad input": 1,
}
# Of the time of both cores that requests for files may take; live streams and the clients themselves take more.
SHARE = 0.35
MOST_PER_S = 4.0
MOST_AT_ONCE = 10  # what the cluster takes and two more: on a slow machine, and during a fault, fewer arrive
TALKERS = 2


@dataclass(frozen=True, slots=True)
class Load:
    """Who sends what.

    Attributes:
        bad: requests that must be refused.
        rate_per_s: of arrivals.
    """

    uploads: Uploads
    bad: tuple[Upload, ...]
    caller: Caller
    leavers: Leavers
    speakers: Speakers
    rate_per_s: float
    dice: random.Random


async def run(load: Load, duration_s: float) -> None:
    """Send requests at random times and let people talk, for that long; return when all of them are done."""
    until_s = time.monotonic() + duration_s
    async with asyncio.TaskGroup() as group:
        for _ in range(TALKERS):
            group.create_task(_conversation(load, until_s))
        await _arrivals(load, until_s, group)


async def _arrivals(load: Load, until_s: float, group: asyncio.TaskGroup) -> None:
    """Begin requests at a Poisson rate, but never more than `MOST_AT_ONCE` at the same time."""
    places = asyncio.Semaphore(MOST_AT_ONCE)
    kinds, weights = zip(*WEIGHTS.items(), strict=True)
    while (now_s := time.monotonic()) < until_s:
        await asyncio.sleep(min(load.dice.expovariate(load.rate_per_s), until_s - now_s))
        await places.acquire()
        visit = _visit(load, load.dice.choices(kinds, weights)[0])
        group.create_task(_in_place(places, visit))


async def _in_place(places: asyncio.Semaphore, visit: Callable[[], Awaitable[None]]) -> None:
    try:
        await visit()
    finally:
        places.release()


def _visit(load: Load, kind: str) -> Callable[[], Awaitable[None]]:
    others = {
        "hang-up": load.leavers.leave,
        "live hang-up": load.speakers.leave,
        "live bad input": load.speakers.babble,
    }
    if kind in others:
        return others[kind]
    if kind in load.uploads.by_kind:
        upload = load.dice.choice(load.uploads.by_kind[kind])
        return lambda: load.caller.transcribe(upload)
    bad = load.dice.choice(load.bad)
    return lambda: load.caller.refuse(bad)


async def _conversation(load: Load, until_s: float) -> None:
    """One recording after the other."""
    await asyncio.sleep(load.dice.uniform(0.0, 2.0))
    while time.monotonic() < until_s:
        await load.speakers.talk()


def rate_of(latencies_s: dict[str, float], cores: int) -> float:
    """Return the arrivals per second that keep the cores busy for `SHARE` of their time.

    Args:
        latencies_s: of one request alone, mean by kind; other kinds cost little.
        cores: that the workers have.
    """
    total = sum(WEIGHTS.values())
    mean_s = sum(WEIGHTS[kind] / total * latency_s for kind, latency_s in latencies_s.items())
    return min(MOST_PER_S, SHARE * cores / max(mean_s, 1e-3))
