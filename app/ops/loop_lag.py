"""Is the event loop turning? Whatever blocks it delays every probe, refusal and stream at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

CHECK_EVERY_S = 0.5


async def watch_loop_lag(tell: Callable[[float], None], *, every_s: float = CHECK_EVERY_S) -> None:
    """Tell again and again by how many seconds a short sleep came back late; until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + every_s
        await asyncio.sleep(every_s)
        tell(max(loop.time() - due_s, 0.0))
