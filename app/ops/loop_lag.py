"""Measure event loop lag: whatever blocks the loop delays every request, probe and stream at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

CHECK_EVERY_S = 0.5


async def watch_loop_lag(on_lag: Callable[[float], None], *, every_s: float = CHECK_EVERY_S) -> None:
    """Report repeatedly by how many seconds a short sleep returned late, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + every_s
        await asyncio.sleep(every_s)
        on_lag(max(loop.time() - due_s, 0.0))


@asynccontextmanager
async def watching_loop_lag(on_lag: Callable[[float], None], *, every_s: float = CHECK_EVERY_S) -> AsyncIterator[None]:
    """Watch the lag until the block ends."""
    task = asyncio.create_task(watch_loop_lag(on_lag, every_s=every_s))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
