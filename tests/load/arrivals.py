"""When requests are due. Pure: the random generator is an argument."""

from __future__ import annotations

import random


def poisson(rate_per_s: float, duration_s: float, dice: random.Random) -> list[float]:
    """Return arrival times in [0, duration_s) of independent callers, `rate_per_s` of them on average.

    An open loop: callers come whether or not the service keeps up, as people do.

    Raises:
        ValueError: the rate is not positive.
    """
    if rate_per_s <= 0:
        raise ValueError(f"rate {rate_per_s}: must be above 0")
    times_s: list[float] = []
    now_s = dice.expovariate(rate_per_s)
    while now_s < duration_s:
        times_s.append(now_s)
        now_s += dice.expovariate(rate_per_s)
    return times_s
