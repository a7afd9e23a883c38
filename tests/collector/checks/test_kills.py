"""Checks 25 to 29: collectors that are killed, stopped or told to end, while 200 finals come each second."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

from bench.collector import streams
from bench.collector.words import Talk
from tests.collector.checks.databases import is_write_locked, write_locked
from tests.collector.checks.load import assert_complete, talking
from tests.collector.checks.system import System, new_meeting, until


async def pending_of(system: System, number: int) -> Callable[[], Awaitable[bool]]:
    """A question: are at least so many entries delivered and not acknowledged?"""

    async def ask() -> bool:
        return await streams.pending(system.redis) >= number

    return ask


async def test_25_killed_again_and_again(system: System):
    """`kill -9` every second: the database holds what Redis acknowledged, each word once."""
    collector = await system.start()
    left = 0
    async with talking(system, seconds=8) as generator:
        give_up = time.monotonic() + 8
        while time.monotonic() < give_up:
            await asyncio.sleep(1)
            await collector.kill()
            left += await streams.age_deliveries(system.redis)
            await collector.start(ready=False)
            await collector.wait_until_ready()
    await collector.kill()
    await streams.age_deliveries(system.redis)
    await collector.start()
    await assert_complete(system, collector, generator)
    assert left > 0, "no kill hit a batch: the check showed nothing"


async def test_26_killed_between_commit_and_acknowledgement(system: System):
    """The entries are delivered again, and each word is there once."""
    collector = system.new_collector(COLLECTOR_FAILPOINT="after_commit")
    await collector.start()
    talk = Talk(new_meeting(), int(time.time() * 1000))
    await system.add(talk.start(), *(talk.final(number) for number in range(50)))
    assert await collector.ended() == -signal.SIGKILL
    unacknowledged = await streams.age_deliveries(system.redis)
    assert unacknowledged > 0
    second = await system.start()
    await system.settled()
    assert await second.texts(talk.meeting) == [talk.word(number) for number in range(50)]
    assert await second.metric("collector_segments_total", kind="same") >= unacknowledged - 1  # one is the start


async def test_27_killed_with_200_entries_in_hand(system: System):
    """Another collector takes them over, and stores them."""
    first = await system.start()
    talk = Talk(new_meeting(), int(time.time() * 1000))
    with write_locked(system.database_url):  # so that what was read cannot be stored
        await system.add(talk.start(), *(talk.final(number) for number in range(400)))
        await until(await pending_of(system, 200))
        await first.kill()
    assert await streams.age_deliveries(system.redis) >= 200
    second = await system.start()
    await system.settled()
    assert await second.texts(talk.meeting) == [talk.word(number) for number in range(400)]
    assert await second.metric("collector_claimed_total") >= 200


async def test_28_stopped_and_continued(system: System):
    """A collector that sleeps with entries in hand, and stores them after another one has: each word is there once."""
    sleeper = await system.start()
    async with talking(system, seconds=8) as generator:
        in_hand = await pending_of(system, 2)
        for _ in range(300):
            sleeper.signal(signal.SIGSTOP)
            await asyncio.sleep(0.01)
            if await in_hand() and not is_write_locked(system.database_url):
                break
            sleeper.signal(signal.SIGCONT)
            await asyncio.sleep(0.013)
        assert await in_hand()
        await streams.age_deliveries(system.redis)
        other = await system.start()

        async def has_claimed() -> bool:
            return await other.metric("collector_claimed_total") >= 2

        await until(has_claimed)
        sleeper.signal(signal.SIGCONT)
    await assert_complete(system, other, generator)
    kinds = [await each.metric("collector_segments_total", kind="same") for each in (sleeper, other)]
    assert sum(kinds) > 0, "nothing was stored twice: the check showed nothing"


async def test_29_told_to_end(system: System):
    """SIGTERM under load: exit status 0 within 5 s, and what was read is stored and acknowledged."""
    collector = await system.start()
    async with talking(system, seconds=3) as generator:
        await asyncio.sleep(1.5)
        began_s = time.monotonic()
        assert await collector.stop() == 0
        assert time.monotonic() - began_s < 5
        assert await streams.pending(system.redis) == 0
    await collector.start()
    await assert_complete(system, collector, generator)
