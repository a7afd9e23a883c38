from __future__ import annotations

import asyncio

import pytest

from app.core.errors import NotReady, Overloaded, RetryLater, ShuttingDown
from app.http.admission import Admission, Permit
from tests.fakes import FakeClock


def admission(*, slots: int = 1, max_queue: int = 2, fail_fast: bool = False, retry_after_s: int = 7) -> Admission:
    """An open admission."""
    opened = Admission(slots=slots, max_queue=max_queue, fail_fast=fail_fast, retry_after_s=retry_after_s)
    opened.open()
    return opened


async def waiting(gate: Admission) -> asyncio.Task[Permit]:
    """A request that has just joined the queue."""
    task = asyncio.create_task(gate.acquire())
    await asyncio.sleep(0)
    return task


async def test_nothing_is_admitted_before_the_model_is_warm():
    """Before `open` the early check and `acquire` both give NotReady, and no slot is taken."""
    gate = Admission(slots=1, max_queue=1, fail_fast=False, retry_after_s=1)
    assert isinstance(gate.refusal(), NotReady)
    assert not gate.ready
    with pytest.raises(NotReady):
        await gate.acquire()
    assert (gate.active, gate.queued) == (0, 0)


async def test_open_may_change_the_number_of_slots():
    """The device is known only after the load, and with it the number of slots."""
    gate = Admission(slots=4, max_queue=0, fail_fast=True, retry_after_s=1)
    gate.open(slots=1)
    await gate.acquire()
    assert gate.slots == 1
    assert isinstance(gate.refusal(), Overloaded)


async def test_busy_is_ready():
    """A full worker stays in rotation."""
    gate = admission(fail_fast=True)
    await gate.acquire()
    assert gate.ready


async def test_fail_fast_refuses_at_once_with_the_configured_wait():
    """With every slot taken the answer is Overloaded, whatever the queue's size would be."""
    gate = admission(slots=2, max_queue=10, fail_fast=True)
    permits = [await gate.acquire(), await gate.acquire()]
    refusal = gate.refusal()
    assert isinstance(refusal, Overloaded)
    assert refusal.retry_after_s == 7
    with pytest.raises(Overloaded):
        await gate.acquire()
    permits[0].release()
    assert gate.refusal() is None


async def test_queue_is_bounded():
    """As many wait as allowed; the next one is refused."""
    gate = admission(max_queue=2)
    first = await gate.acquire()
    queue = [await waiting(gate), await waiting(gate)]
    assert (gate.active, gate.queued) == (1, 2)
    with pytest.raises(Overloaded):
        await gate.acquire()
    first.release()
    (await queue[0]).release()
    (await queue[1]).release()
    assert (gate.active, gate.queued) == (0, 0)


async def test_every_wait_is_told_however_it_ended():
    """A free slot is a wait of 0; a grant, a caller who leaves and a drain tell how long it was; a refusal is none."""
    clock, told = FakeClock(), list[tuple[str, float]]()
    gate = Admission(
        slots=1,
        max_queue=2,
        fail_fast=False,
        retry_after_s=1,
        on_waited=lambda tier, seconds: told.append((tier, seconds)),
        clock=clock,
    )
    gate.open()
    first = await gate.acquire("realtime")
    served = await waiting(gate)
    left = await waiting(gate)
    with pytest.raises(Overloaded):
        await gate.acquire()
    clock.advance(1)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    clock.advance(1)
    first.release()
    await served
    drained = await waiting(gate)
    clock.advance(5)
    gate.drain()
    await asyncio.gather(drained, return_exceptions=True)
    assert told == [("realtime", 0), ("standard", 1), ("standard", 2), ("standard", 5)]


async def test_queue_is_first_in_first_out():
    """A freed slot goes to the queue's head, not to a newcomer of the same turn."""
    gate = admission(max_queue=10)
    permit = await gate.acquire()
    queue = [await waiting(gate) for _ in range(3)]
    for task in queue:
        permit.release()
        newcomer = await waiting(gate)
        permit = await task
        assert not newcomer.done()
        newcomer.cancel()
        await asyncio.gather(newcomer, return_exceptions=True)
    permit.release()
    assert (gate.active, gate.queued) == (0, 0)


async def test_release_twice_frees_one_slot():
    """The work and its caller may both give the permit back."""
    gate = admission(slots=2)
    first, second = await gate.acquire(), await gate.acquire()
    first.release()
    first.release()
    assert gate.active == 1
    second.release()
    assert gate.active == 0


async def test_leaving_the_queue_frees_the_place_at_once():
    """The place of a caller that went is free before anything else runs."""
    gate = admission(max_queue=1)
    permit = await gate.acquire()
    gone = await waiting(gate)
    gone.cancel()
    assert gate.refusal() is None
    await asyncio.gather(gone, return_exceptions=True)
    stays = await waiting(gate)
    permit.release()
    (await stays).release()
    assert (gate.active, gate.queued) == (0, 0)


async def test_leaving_in_the_turn_of_the_grant_loses_no_slot():
    """If a waiter is granted a slot and cancelled in one loop iteration, the slot goes to the next."""
    gate = admission(max_queue=2)
    permit = await gate.acquire()
    leaver, stayer = await waiting(gate), await waiting(gate)
    permit.release()
    leaver.cancel()
    assert isinstance((await asyncio.gather(leaver, return_exceptions=True))[0], asyncio.CancelledError)
    (await stayer).release()
    assert (gate.active, gate.queued) == (0, 0)


async def test_draining_refuses_the_queue_and_lets_running_work_finish():
    """Waiting requests get ShuttingDown at once; running ones keep their slots until they are done."""
    gate = admission(max_queue=2)
    permit = await gate.acquire()
    queue = [await waiting(gate), await waiting(gate)]
    gate.drain()
    outcomes = await asyncio.gather(*queue, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ShuttingDown, ShuttingDown]
    assert isinstance(gate.refusal(), ShuttingDown)
    assert (gate.ready, gate.draining, gate.active, gate.queued) == (False, True, 1, 0)
    permit.release()
    assert gate.active == 0


async def test_draining_twice_and_while_somebody_leaves_is_harmless():
    """SIGTERM and the end of the lifespan both drain; a caller may leave in between."""
    gate = admission(max_queue=1)
    permit = await gate.acquire()
    leaver = await waiting(gate)
    gate.drain()
    leaver.cancel()
    gate.drain()
    await asyncio.gather(leaver, return_exceptions=True)
    permit.release()
    assert (gate.active, gate.queued) == (0, 0)


async def test_storm_never_exceeds_slots_or_queue_and_leaks_nothing():
    """A hundred callers, a third of them leaving: limits hold all the time, all slots come back."""
    gate = admission(slots=3, max_queue=5)
    seen: list[tuple[int, int]] = []
    answers: list[type[BaseException] | None] = []

    async def call(number: int) -> None:
        try:
            permit = await gate.acquire()
        except RetryLater as exc:
            answers.append(type(exc))
            return
        try:
            seen.append((gate.active, gate.queued))
            for _ in range(number % 4):
                await asyncio.sleep(0)
        finally:
            permit.release()
        answers.append(None)

    tasks = [asyncio.create_task(call(number)) for number in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert max(active for active, _ in seen) == 3
    assert max(queued for _, queued in seen) <= 5
    assert set(answers) == {None, Overloaded}
    assert (gate.active, gate.queued) == (0, 0)


async def test_retry_after_is_measured():
    """After requests that held the only slot for eight seconds, Retry-After is eight, for live text two."""
    now_s = [0.0]
    admission = Admission(slots=1, max_queue=0, fail_fast=True, retry_after_s=1, clock=lambda: now_s[0])
    admission.open()
    first = await admission.acquire()
    now_s[0] = 8.0
    first.release()
    await admission.acquire()
    waits = [refusal.retry_after_s for tier in ("standard", "realtime") if (refusal := admission.refusal(tier))]
    assert waits == [8, 2]


async def test_running_requests_count_before_they_finish():
    """The time for which a running request has held its slot counts from the first request on."""
    now_s = [0.0]
    admission = Admission(slots=1, max_queue=0, fail_fast=True, retry_after_s=1, clock=lambda: now_s[0])
    admission.open()
    await admission.acquire()
    now_s[0] = 25.0
    refusal = admission.refusal()
    assert refusal is not None
    assert refusal.retry_after_s == 25
