from __future__ import annotations

import itertools
import random
import statistics

import pytest

from tests.load.arrivals import poisson


def test_arrivals_have_the_rate_and_the_spread_of_independent_callers():
    """About rate x time of them, in order, with gaps as wide as their mean (coefficient of variation 1)."""
    times_s = poisson(5.0, 2000.0, random.Random(1))
    gaps_s = [after - before for before, after in itertools.pairwise(times_s)]
    assert times_s == sorted(times_s)
    assert times_s[0] > 0
    assert times_s[-1] < 2000.0
    assert len(times_s) / 2000.0 == pytest.approx(5.0, rel=0.05)
    assert statistics.stdev(gaps_s) / statistics.mean(gaps_s) == pytest.approx(1.0, rel=0.05)


def test_the_same_seed_gives_the_same_arrivals():
    """With the same seed a run can be repeated."""
    assert poisson(2.0, 50.0, random.Random(3)) == poisson(2.0, 50.0, random.Random(3))


def test_a_rate_of_zero_is_refused():
    """At a rate of 0 no request would ever be due."""
    with pytest.raises(ValueError, match="above 0"):
        poisson(0.0, 1.0, random.Random(0))
