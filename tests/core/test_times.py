from __future__ import annotations

import math

import pytest

from app.core.times import bounded, span_ms, to_ms


@pytest.mark.parametrize(
    ("value", "result"), [(0.5, 0.5), (-1, 0.0), (2, 1.0), (math.inf, 1.0), (-math.inf, 0.0), (math.nan, 0.0)]
)
def test_bounded_is_always_finite(value: float, result: float):
    """Values inside pass unchanged, others become the nearest bound, and NaN the lower one."""
    assert bounded(value, 0.0, 1.0) == result


def test_milliseconds_are_whole_and_never_negative():
    """Seconds are rounded; infinite and negative times become the bounds."""
    assert [to_ms(value) for value in (1.2345, -3.0, math.nan)] == [1234, 0, 0]
    assert to_ms(math.inf) == 359_999_000


def test_a_span_is_at_least_a_millisecond_long():
    """A segment that ends where it starts, or before, gets one millisecond."""
    assert span_ms(1.0, 1.0) == (1000, 1001)
    assert span_ms(2.0, 1.0) == (2000, 2001)
    assert span_ms(1.0, 2.5) == (1000, 2500)
