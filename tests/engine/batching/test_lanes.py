from __future__ import annotations

import threading

import pytest

from app.core.options import Tier
from app.engine.batching.lanes import DEFERRED, LIVE, LONG, SHORT, LaneSemaphore, lane_of

# Only how long a broken semaphore may hang before its test fails.
PATIENCE_S = 20.0


@pytest.mark.parametrize(
    ("tier", "short", "lane"),
    [
        ("realtime", True, LIVE),
        ("realtime", False, LONG),
        ("standard", True, SHORT),
        ("standard", False, LONG),
        ("deferred", True, DEFERRED),
        ("deferred", False, DEFERRED),
    ],
)
def test_requests_take_the_lane_that_fits(tier: Tier, *, short: bool, lane: int) -> None:
    """The live lane is for one window: a long file does not pass others because its caller says `realtime`."""
    assert lane_of(tier, short=short) == lane
    assert LIVE < SHORT < LONG < DEFERRED


def test_waiting_threads_go_by_lane_and_then_in_order() -> None:
    """Behind one busy permit: live before short before files, and in a lane the first that came."""
    turns, order = LaneSemaphore(1), list[str]()

    def work(name: str, lane: int) -> None:
        with turns.held(lane):
            order.append(name)

    threads = []
    with turns.held(LONG):
        for name, lane in (("file1", LONG), ("file2", LONG), ("short", SHORT), ("later", DEFERRED), ("live", LIVE)):
            threads.append(threading.Thread(target=work, args=(name, lane)))
            threads[-1].start()
            wait_for_waiting(turns, len(threads))
    for thread in threads:
        thread.join(PATIENCE_S)
    assert order == ["live", "short", "file1", "file2", "later"]


def test_no_more_threads_are_inside_than_there_are_permits() -> None:
    """Twenty threads and three permits: three at most at once, all in the end, also after a failure inside."""
    turns, lock, inside, most, done = LaneSemaphore(3), threading.Lock(), [0], [0], list[int]()

    def work(number: int) -> None:
        with turns.held(number % 4):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            wait_for_waiting(turns, 0 if number >= 17 else -1)
            with lock:
                inside[0] -= 1
                done.append(number)

    with pytest.raises(ZeroDivisionError), turns.held(LIVE):
        raise ZeroDivisionError
    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(done) == list(range(20))
    assert most[0] <= 3


def wait_for_waiting(turns: LaneSemaphore, n_threads: int) -> None:
    """Return once at least so many threads wait for a permit."""
    while len(turns._waiting) < n_threads:
        threading.Event().wait(0.001)
