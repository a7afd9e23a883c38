from __future__ import annotations

from tests.chaos.disturbances import (
    BREAK_BEGUN_RESPONSES,
    BREAK_LIVE_STREAMS,
    BREAK_REQUESTS,
    Disturbance,
    Disturbances,
)


def after(role: str, action: str = "kill") -> Disturbances:
    """A fault at 100 s, from which the cluster had recovered at 104 s."""
    return Disturbances([Disturbance(role, action, role, 100.0, 100.0, 104.0)])


def test_only_the_process_that_holds_a_connection_explains_that_it_broke():
    """A killed worker is no excuse for a request, which nginx sends again, but for a response that has begun."""
    assert after("nginx").explain(BREAK_REQUESTS, 99.0, 101.0)
    assert not after("worker").explain(BREAK_REQUESTS, 99.0, 101.0)
    assert after("worker").explain(BREAK_BEGUN_RESPONSES, 99.0, 101.0)
    assert after("gateway").explain(BREAK_LIVE_STREAMS, 99.0, 101.0)
    assert not after("redis").explain(BREAK_LIVE_STREAMS, 99.0, 101.0)


def test_a_frozen_process_breaks_nothing():
    """What waits goes on when it goes on."""
    assert not after("nginx", "stop").explain(BREAK_REQUESTS, 99.0, 101.0)


def test_a_fault_explains_nothing_before_it_and_little_after_it():
    """The client's time must meet the fault's, or the three seconds after."""
    assert not after("nginx").explain(BREAK_REQUESTS, 90.0, 99.9)
    assert after("nginx").explain(BREAK_REQUESTS, 106.9, 110.0)
    assert not after("nginx").explain(BREAK_REQUESTS, 107.1, 110.0)


def test_recovery_counts_from_the_moment_a_frozen_process_goes_on():
    """Unknown until everything works again."""
    fault = Disturbance("redis", "stop", "redis-1", 100.0, 103.0)
    assert fault.recovery_s is None
    fault.recovered_s = 103.5
    assert fault.recovery_s == 0.5
    assert fault.name == "redis stop"
