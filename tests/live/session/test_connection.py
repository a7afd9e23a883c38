import asyncio

import pytest

from app.live.session.connection import CLOSE_CODES, SessionEnd, ShutdownAwareWait
from tests.live import virtual


def test_every_orderly_ending_has_a_close_code():
    """Every ending that flushes has a close frame; only clients that left, hang or were replaced get none."""
    assert {ending for ending in SessionEnd if ending not in CLOSE_CODES} == {
        SessionEnd.LEFT,
        SessionEnd.STUCK,
        SessionEnd.REPLACED,
    }
    assert all(ending in CLOSE_CODES for ending in SessionEnd if ending.flushes)


def test_close_codes_tell_clients_what_to_do():
    """1000 for a normal end, 1012 for a restart, on which clients reconnect, 1011 for an error."""
    assert CLOSE_CODES[SessionEnd.END_OF_AUDIO][0] == 1000
    assert CLOSE_CODES[SessionEnd.DRAIN][0] == 1012
    assert CLOSE_CODES[SessionEnd.FAILED][0] == 1011


@pytest.mark.parametrize(
    ("limit_s", "shutdown_at_s", "seconds"),
    [(10, None, 10), (10, 3, 8), (10, 7, 10), (300, 0, 5), (1, 3, 1), (100, 90, 95)],
)
def test_a_wait_ends_at_its_limit_or_soon_after_a_shutdown(limit_s, shutdown_at_s, seconds):
    """With five seconds of grace: at its limit, or five seconds after the shutdown began, whichever is sooner."""

    async def main():
        wait, never = ShutdownAwareWait(), asyncio.create_task(asyncio.sleep(1e6))
        if shutdown_at_s is not None:
            asyncio.get_running_loop().call_later(shutdown_at_s, wait.shut_down, 5)
        await wait.wait([never], limit_s)
        at_s = asyncio.get_running_loop().time()
        alive = not never.done()
        never.cancel()
        return at_s, alive

    assert virtual.run(main()) == (pytest.approx(seconds), True)


def test_a_task_that_ends_ends_the_wait():
    """A wait ends with its task; a second shutdown changes nothing, and later waits share the first one's limit."""

    async def main():
        wait, loop = ShutdownAwareWait(), asyncio.get_running_loop()
        await wait.wait([asyncio.create_task(asyncio.sleep(2))], 10)
        wait.shut_down(1)
        wait.shut_down(100)
        long = asyncio.create_task(asyncio.sleep(50))
        await wait.wait([long], 50)
        await wait.wait([long], 50)
        long.cancel()
        return loop.time()

    assert virtual.run(main()) == pytest.approx(3)
