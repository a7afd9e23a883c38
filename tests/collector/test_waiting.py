from __future__ import annotations

import asyncio

from app.collector.waiting import cancel_all, pause
from tests.collector.clock import FakeClock


async def test_pause_ends_with_its_time():
    """Not before, and exactly then."""
    clock = FakeClock()
    waiting = asyncio.create_task(pause(clock, 5, asyncio.Event()))
    await asyncio.sleep(0.001)
    await clock.advance(4.9)
    assert not waiting.done()
    await clock.advance(0.1)
    await waiting


async def test_pause_ends_when_the_process_stops():
    """At once, although its time has not come."""
    stop = asyncio.Event()
    waiting = asyncio.create_task(pause(FakeClock(), 5, stop))
    await asyncio.sleep(0)
    stop.set()
    await waiting


async def test_task_that_drops_a_cancellation_ends():
    """It is cancelled again; a task that has ended is left alone."""
    dropped = list[int]()

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                dropped.append(1)
                if len(dropped) == 2:
                    raise

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(asyncio.sleep(0))]
    await tasks[1]
    await cancel_all(tasks)
    assert [task.cancelled() for task in tasks] == [True, False]
