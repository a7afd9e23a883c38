import asyncio

import pytest

from app.live.session.waits import ShutdownAwareWait
from tests.live import virtual


@pytest.mark.parametrize(
    ("limit_s", "hurry_at_s", "seconds"),
    [(10, None, 10), (10, 3, 8), (10, 7, 10), (300, 0, 5), (1, 3, 1), (100, 90, 95)],
)
def test_a_wait_ends_at_its_limit_or_soon_after_a_stop(limit_s, hurry_at_s, seconds):
    """With a grace of five seconds: the limit, or five seconds after the stop, whichever is sooner."""

    async def main():
        patience, never = ShutdownAwareWait(), asyncio.create_task(asyncio.sleep(1e6))
        if hurry_at_s is not None:
            asyncio.get_running_loop().call_later(hurry_at_s, patience.hurry, 5)
        await patience.wait([never], limit_s)
        at_s = asyncio.get_running_loop().time()
        alive = not never.done()
        never.cancel()
        return at_s, alive

    assert virtual.run(main()) == (pytest.approx(seconds), True)


def test_a_task_that_ends_ends_the_wait():
    """What is waited for is enough; a second stop changes nothing, and later waits are over at once."""

    async def main():
        patience, loop = ShutdownAwareWait(), asyncio.get_running_loop()
        await patience.wait([asyncio.create_task(asyncio.sleep(2))], 10)
        patience.hurry(1)
        patience.hurry(100)
        long = asyncio.create_task(asyncio.sleep(50))
        await patience.wait([long], 50)
        await patience.wait([long], 50)
        long.cancel()
        return loop.time()

    assert virtual.run(main()) == pytest.approx(3)
