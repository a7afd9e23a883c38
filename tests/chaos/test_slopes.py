from __future__ import annotations

import math

import pytest

from tests.chaos.slopes import growth_of
from tests.chaos.tracks import Reading


def life(seconds: int, rss_mb, *, requests_per_s: float = 1.0) -> list[Reading]:
    """A process that was read every second; `rss_mb` gives its memory by the second."""
    return [Reading(float(s), int(s * requests_per_s), rss_mb(s), 10, 4) for s in range(seconds)]


def test_a_leak_shows_as_its_slope():
    """Ten kilobytes for each request are ten megabytes for a thousand."""
    growth = growth_of(life(3600, lambda s: 300 + 0.01 * s))
    assert growth.mb_per_1000 == pytest.approx(10.0)
    assert growth.is_judged_by_slope
    assert growth.end_mb > growth.early_mb


def test_noise_and_warming_up_are_no_leak():
    """Memory that swings by 40 MB, and that filled in the first third."""
    growth = growth_of(life(3600, lambda s: 300 + 200 * min(1.0, s / 900) + 20 * math.sin(s / 7)))
    assert abs(growth.mb_per_1000) < 1.0


def test_peaks_are_no_leak():
    """A long file every minute, more of them towards the end."""
    growth = growth_of(life(3600, lambda s: 300 + (60 if s % 60 < s / 360 else 0)))
    assert abs(growth.mb_per_1000) < 1.0


def test_few_requests_say_nothing():
    """A process that has just started fills its memory: that is no slope."""
    assert not growth_of(life(1200, lambda s: 300 + s)).is_judged_by_slope
    assert growth_of(life(1600, lambda s: 300 + s)).is_judged_by_slope


def test_no_requests_have_no_slope():
    """And no readings are an error."""
    assert growth_of(life(100, lambda s: 300 + s, requests_per_s=0.0)).mb_per_1000 == 0.0
    with pytest.raises(ValueError, match="without readings"):
        growth_of([])
