import asyncio

from app.live.scheduler import Scheduler
from tests.live import virtual


async def settle():
    """Let every task run that can run."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_most_urgent_first():
    """Finished streams come first, then the one whose speech has waited longest."""
    order = []

    async def main():
        scheduler = Scheduler(1)

        async def stream(name, urgency):
            async with scheduler.turn(lambda: urgency):
                order.append(name)
                await asyncio.sleep(1)

        first = asyncio.create_task(stream("first", (True, 0.0)))
        await settle()
        await asyncio.gather(
            first, stream("young", (True, 9.0)), stream("old", (True, 3.0)), stream("ended", (False, 8.0))
        )

    virtual.run(main())
    assert order == ["first", "ended", "old", "young"]


def test_urgency_is_asked_at_the_last_moment():
    """A stream that ends while it waits overtakes the others."""
    order = []

    async def main():
        scheduler = Scheduler(1)
        urgency = {"a": (True, 1.0), "b": (True, 2.0)}

        async def stream(name):
            async with scheduler.turn(lambda: urgency[name]):
                order.append(name)
                await asyncio.sleep(1)

        async with scheduler.turn(lambda: (True, 0.0)):
            tasks = [asyncio.create_task(stream(name)) for name in "ab"]
            await settle()
            urgency["b"] = (False, 2.0)
        await asyncio.gather(*tasks)

    virtual.run(main())
    assert order == ["b", "a"]


def test_slots_bound_the_calls():
    """Never more requests at once than slots, and no idle slot while a stream waits."""
    most = 0

    async def main():
        nonlocal most
        scheduler = Scheduler(3)

        async def stream():
            nonlocal most
            async with scheduler.turn(lambda: (True, 0.0)):
                most = max(most, scheduler.in_flight)
                await asyncio.sleep(1)

        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(stream() for _ in range(9)))
        assert asyncio.get_running_loop().time() - started == 3.0
        assert (scheduler.in_flight, scheduler.waiting) == (0, 0)

    virtual.run(main())
    assert most == 3


def test_refusals_lower_the_calls_and_answers_raise_them():
    """A busy service gets fewer requests at once, at least one; its answers raise the number again."""

    async def admitted(scheduler):
        tasks = [asyncio.create_task(_hold(scheduler)) for _ in range(20)]
        await settle()
        count = scheduler.in_flight
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return count

    async def main():
        scheduler = Scheduler(8)
        assert await admitted(scheduler) == 8
        for _ in range(20):
            scheduler.refused()
        assert await admitted(scheduler) == 1
        for _ in range(100):
            scheduler.answered()
        assert await admitted(scheduler) == 8

    virtual.run(main())


async def _hold(scheduler):
    async with scheduler.turn(lambda: (True, 0.0)):
        await asyncio.sleep(100)


def test_cancelling_gives_the_place_back():
    """A cancelled stream, waiting or in flight, frees what it holds."""

    async def main():
        scheduler = Scheduler(1)
        calling = asyncio.create_task(_hold(scheduler))
        waiting = asyncio.create_task(_hold(scheduler))
        await settle()
        waiting.cancel()
        await settle()
        assert (scheduler.in_flight, scheduler.waiting) == (1, 0)
        last = asyncio.create_task(_hold(scheduler))
        await settle()
        calling.cancel()
        last.cancel()  # granted and cancelled at the same time
        await asyncio.gather(calling, waiting, last, return_exceptions=True)
        assert (scheduler.in_flight, scheduler.waiting) == (0, 0)

    virtual.run(main())


def test_turn_is_not_given_to_one_that_leaves():
    """A stream cancelled just when a slot becomes free affects neither the one before nor the one after it."""

    async def main():
        scheduler = Scheduler(1)
        async with scheduler.turn(lambda: (True, 0.0)):
            leaving = asyncio.create_task(_hold(scheduler))
            await settle()
            behind = asyncio.create_task(_hold(scheduler))
            await settle()
            leaving.cancel()  # has not run yet when the slot becomes free
        await settle()
        assert (scheduler.in_flight, scheduler.waiting) == (1, 0)
        behind.cancel()
        await asyncio.gather(leaving, behind, return_exceptions=True)
        assert leaving.cancelled()
        assert (scheduler.in_flight, scheduler.waiting) == (0, 0)

    virtual.run(main())
