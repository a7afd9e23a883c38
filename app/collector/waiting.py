"""Pauses that end early when the process stops, and the end of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

from app.collector.clock import Clock

CANCEL_AGAIN_S: Final = 0.05


async def cancel_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all have ended.

    Before Python 3.12 `asyncio.wait_for`, which redis-py calls, drops a cancellation that arrives as its result does.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)


async def pause(clock: Clock, seconds: float, stop: asyncio.Event) -> None:
    """Return after this time, or once `stop` is set."""
    waits = [asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(stop.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
