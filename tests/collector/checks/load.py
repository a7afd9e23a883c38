"""Somebody who talks all the time, and whether everything of it arrived."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager

from bench.collector import generator as generators
from bench.collector import streams
from bench.collector.collector import Collector
from bench.collector.generator import Generator
from bench.collector.words import Talk, differences
from tests.collector.checks.system import System, new_meeting

RATE = 200.0  # finals each second


def talking(
    system: System, *, seconds: float, meetings: int = 5, rate: float = RATE
) -> AbstractAsyncContextManager[Generator]:
    """Somebody talks while the block runs; all of it was written when the block has ended."""
    talks = [Talk(new_meeting(), int(time.time() * 1000)) for _ in range(meetings)]
    return generators.talking(system.redis_url, talks, rate=rate, seconds=seconds)


async def assert_complete(system: System, collector: Collector, generator: Generator) -> None:
    """What Redis acknowledged is what REST shows: each word once, in order; no meeting lacks a final."""
    await streams.age_deliveries(system.redis)
    await system.settled()
    expected = generator.oracle.words
    assert min(len(words) for words in expected.values()) > 0
    shown = {meeting: await collector.transcript(meeting) for meeting in expected}
    found = {meeting: [each["text"] for each in body["segments"]] for meeting, body in shown.items()}
    assert differences(expected, found) == []
    assert {body["complete"] for body in shown.values()} == {True}
