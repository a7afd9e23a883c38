"""How fast the memory of a process grows. Pure.

The slope is the median of the slopes between all pairs of readings (Theil and Sen), in the last two thirds of the
process's life: a peak, for example of a long file, does not change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.chaos.tracks import Reading

WARM_UP_SHARE = 1 / 3  # of a life, in which caches and allocators fill
MOST_POINTS = 120  # of which all pairs are compared
PER_REQUESTS = 1000
FEWEST_REQUESTS = 1000  # for a slope to say something: with less, one long file's memory would be a leak


@dataclass(frozen=True, slots=True)
class Growth:
    """The memory of one process over the last two thirds of its life.

    Attributes:
        early_mb, end_mb: after a tenth of its life, and at its end (median of the readings around).
        mb_per_1000: megabytes per thousand requests; 0 without requests.
        requests: answered by the cluster in that time.
        life_s: of the whole process.
    """

    early_mb: float
    end_mb: float
    mb_per_1000: float
    requests: int
    life_s: float

    @property
    def grown_mb(self) -> float:
        """Return how much it grew in that time."""
        return self.mb_per_1000 * self.requests / PER_REQUESTS

    @property
    def is_judged_by_slope(self) -> bool:
        """Were there enough requests for the slope to say something?"""
        return self.requests >= FEWEST_REQUESTS


def growth_of(readings: Sequence[Reading]) -> Growth:
    """Return the growth of a process.

    Raises:
        ValueError: there are no readings.
    """
    if not readings:
        raise ValueError("a process without readings")
    began_s, life_s = readings[0].at_s, readings[-1].at_s - readings[0].at_s
    late = [each for each in readings if each.at_s >= began_s + life_s * WARM_UP_SHARE]
    tenth = max(1, len(readings) // 10)
    return Growth(
        early_mb=median(each.rss_mb for each in readings[tenth - 1 : 2 * tenth]),
        end_mb=median(each.rss_mb for each in readings[-tenth:]),
        mb_per_1000=_slope(_thinned(late)) * PER_REQUESTS,
        requests=late[-1].requests - late[0].requests,
        life_s=life_s,
    )


def _thinned(readings: Sequence[Reading]) -> Sequence[Reading]:
    step = -(-len(readings) // MOST_POINTS)
    return readings[::step]


def _slope(readings: Sequence[Reading]) -> float:
    """Return megabytes per request."""
    slopes = [
        (later.rss_mb - earlier.rss_mb) / (later.requests - earlier.requests)
        for number, earlier in enumerate(readings)
        for later in readings[number + 1 :]
        if later.requests > earlier.requests
    ]
    return median(slopes) if slopes else 0.0
