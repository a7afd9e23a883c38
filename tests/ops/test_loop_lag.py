from __future__ import annotations

import asyncio
import time

from app.ops.loop_lag import watch_loop_lag, watching_loop_lag


async def test_a_blocked_loop_is_reported():
    """Code that blocks the loop shows as lag of about its duration; a free loop shows little."""
    lags_s: list[float] = []
    watch = asyncio.create_task(watch_loop_lag(lags_s.append, every_s=0.01))
    async with asyncio.timeout(10):
        while not lags_s:
            await asyncio.sleep(0.001)
        n_before = len(lags_s)
        time.sleep(0.2)  # noqa: ASYNC251 - the fault that is to be measured
        while len(lags_s) == n_before:
            await asyncio.sleep(0.001)
    watch.cancel()
    assert lags_s[n_before] > 0.1
    assert all(lag_s >= 0 for lag_s in lags_s)


async def test_watching_ends_with_the_block():
    """The task reports while the block runs, and is gone after it."""
    reported = asyncio.Event()
    async with watching_loop_lag(lambda _: reported.set(), every_s=0.001):
        await asyncio.wait_for(reported.wait(), 10)
    assert asyncio.all_tasks() == {asyncio.current_task()}
