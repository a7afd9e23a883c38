from __future__ import annotations

import asyncio
import time

from app.collector.clock import SystemClock
from tests.collector.clock import FakeClock


async def test_system_clock_is_the_machines():
    """Its Unix time lies between two looks at the machine's clock, and a sleep of nothing returns."""
    clock = SystemClock()
    before = time.time()
    now_ms = clock.now_ms()
    await clock.sleep(0)
    assert int(before * 1000) <= now_ms <= time.time() * 1000
    assert clock.monotonic() <= time.monotonic()


async def test_sleepers_of_the_fake_clock_wake_in_order():
    """Each wakes when its time has come, not before."""
    clock, woken = FakeClock(), list[float]()

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(clock.monotonic())

    async with asyncio.TaskGroup() as tasks:
        for seconds in (3.0, 1.0):
            tasks.create_task(sleeper(seconds))
        await asyncio.sleep(0)
        await clock.advance(2)
        assert woken == [1.0]
        await clock.advance(2)
    assert woken == [1.0, 3.0]
