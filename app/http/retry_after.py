"""Estimate when a slot will be free, from how long recent requests held theirs. Pure.

Little's law: while all slots are busy, one becomes free every `mean / slots` seconds, and requests that
already wait come first. The mean is exponentially weighted, so that long files in the past do not
delay short ones now.
"""

from __future__ import annotations

import math

from app.core.options import Tier

# Weight of the newest request: about the last dozen requests count.
WEIGHT = 0.15
LONGEST_S = 60  # official SDKs ignore longer values
LONGEST_REALTIME_S = 2  # live clients buffer audio meanwhile, and their buffers are short


class RetryAfterEstimator:
    """Computes the Retry-After of a busy worker from finished requests."""

    def __init__(self, *, floor_s: int) -> None:
        self._floor_s = floor_s
        self._mean_s: float | None = None

    def finished(self, held_s: float) -> None:
        """Record how long a request held its slot."""
        self._mean_s = held_s if self._mean_s is None else (1 - WEIGHT) * self._mean_s + WEIGHT * held_s

    def retry_after_s(self, *, slots: int, queued: int, held_s: float, tier: Tier) -> int:
        """Whole seconds until one more request will probably find a free slot.

        At least the configured minimum, at most a minute; one or two seconds for live text.

        Args:
            slots: requests processed at once; all slots are taken.
            queued: requests that come first.
            held_s: mean time for which running requests have held their slots so far.
            tier: of the refused request.
        """
        expected_s = max(self._mean_s or 0.0, held_s) * (queued + 1) / max(slots, 1)
        longest_s = LONGEST_REALTIME_S if tier == "realtime" else LONGEST_S
        return max(1, min(max(math.ceil(expected_s), self._floor_s), longest_s))
