"""How long until a place is free: an estimate from how long the last requests held theirs. Pure.

Little's law: with every slot busy, a place frees every `mean / slots` seconds, and those who already
wait get theirs first. The mean forgets, so that an hour of long files does not frighten off the
short ones that follow.
"""

from __future__ import annotations

import math

from app.core.options import Tier

# Weight of the newest request: the last dozen decide.
WEIGHT = 0.15
LONGEST_S = 60  # official SDKs ignore what is longer
LONGEST_REALTIME_S = 2  # live clients buffer meanwhile, and lose what they cannot hold


class RetryAfterEstimator:
    """Learns from requests that finished, and tells newcomers when to come back."""

    def __init__(self, *, floor_s: int) -> None:
        self._floor_s = floor_s
        self._mean_s: float | None = None

    def finished(self, held_s: float) -> None:
        """A request held its slot this long."""
        self._mean_s = held_s if self._mean_s is None else (1 - WEIGHT) * self._mean_s + WEIGHT * held_s

    def retry_after_s(self, *, slots: int, queued: int, held_s: float, tier: Tier) -> int:
        """Whole seconds until one more request would probably find a place.

        At least the configured floor, at most a minute; one or two seconds for live text.

        Args:
            slots: requests worked on at once; all of them are taken.
            queued: requests that get a place first.
            held_s: mean time for which the running ones have held theirs; they may be the long ones.
            tier: who asks.
        """
        expected_s = max(self._mean_s or 0.0, held_s) * (queued + 1) / max(slots, 1)
        longest_s = LONGEST_REALTIME_S if tier == "realtime" else LONGEST_S
        return max(1, min(max(math.ceil(expected_s), self._floor_s), longest_s))
