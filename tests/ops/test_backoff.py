from __future__ import annotations

from app.ops.backoff import Backoff


def test_pauses_double_up_to_the_longest():
    """From the first to the longest, and from the first again after a success."""
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_s() == 0.5
