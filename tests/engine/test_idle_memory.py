from __future__ import annotations

import asyncio
import threading

from app.engine.idle_memory import IdleMemory


async def turns() -> None:
    """Let the event loop run what is due now."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_memory_is_released_after_the_last_request() -> None:
    """Not while one of two requests runs; on another thread than the event loop's."""
    released = threading.Event()
    threads: list[int] = []

    def release() -> None:
        threads.append(threading.get_ident())
        released.set()

    idle = IdleMemory(release, after_s=0.0)
    idle.started()
    idle.started()
    idle.ended()
    await turns()
    assert threads == []
    idle.ended()
    await asyncio.to_thread(released.wait)
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


async def test_memory_is_kept_if_another_request_starts() -> None:
    """A request that starts in time, or the end of the process, prevents the release."""
    released: list[str] = []
    idle = IdleMemory(lambda: released.append("released"), after_s=0.0)
    idle.started()
    idle.ended()
    idle.started()
    await turns()
    idle.ended()
    idle.close()
    await turns()
    assert released == []
