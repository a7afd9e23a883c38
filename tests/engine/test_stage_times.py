from __future__ import annotations

import pytest

from app.engine.stage_times import FIRST_CALLS, SLOWEST_CALLS, CallTimes, StageTimes


def call(number: int, *, seconds: float = 1.0, waited_s: float = 0.5) -> CallTimes:
    """A call that began at its number."""
    return CallTimes(number, "generate", 1, waited_s, float(number), number + seconds)


def test_stages_are_kept_in_order_also_if_they_fail():
    """A stage that raised has its end, so a failed request shows how far it came."""
    times = StageTimes()
    with times.stage("upload"):
        assert times.stages[0].ended_s is None
    with pytest.raises(ValueError, match="x"), times.stage("decode"):
        raise ValueError("x")
    upload, decode = times.stages
    assert (upload.name, decode.name) == ("upload", "decode")
    assert upload.ended_s is not None
    assert decode.ended_s is not None
    assert upload.started_s <= upload.ended_s <= decode.started_s <= decode.ended_s


def test_an_hour_long_file_keeps_a_bounded_number_of_calls():
    """The first calls and the slowest of the rest, in order; the others are counted."""
    times = StageTimes()
    slow = {100 + 10 * n for n in range(SLOWEST_CALLS)}
    for number in range(1000):
        times.add_call(call(number, seconds=9.0 if number in slow else 1.0))
    kept = [each.number for each in times.calls()]
    assert kept == [*range(FIRST_CALLS), *sorted(slow)]
    assert (times.n_calls, times.waited_s) == (1000, 500.0)


def test_two_windows_in_one_call_are_one_call():
    """A long file has several windows in a call: it is kept and counted once, and both windows' waits count."""
    times = StageTimes()
    for number in (1, 2, 1, 2, 3):
        times.add_call(call(number))
    assert [each.number for each in times.calls()] == [1, 2, 3]
    assert (times.n_calls, times.waited_s) == (3, 2.5)
