from __future__ import annotations

import asyncio
import time

from app.ops.loop_lag import watch_loop_lag


async def test_a_blocked_loop_is_told():
    """What holds the loop for a while shows as lag of about that while; a free loop shows little."""
    told: list[float] = []
    watch = asyncio.create_task(watch_loop_lag(told.append, every_s=0.01))
    async with asyncio.timeout(10):
        while not told:
            await asyncio.sleep(0.001)
        n_before = len(told)
        time.sleep(0.2)  # noqa: ASYNC251 - the fault that is to be noticed
        while len(told) == n_before:
            await asyncio.sleep(0.001)
    watch.cancel()
    assert told[n_before] > 0.1
    assert all(lag_s >= 0 for lag_s in told)
