from __future__ import annotations

import pytest

from app.core.options import Tier
from app.http.retry_after import RetryAfterEstimator


def after(*held_s: float, floor_s: int = 1) -> RetryAfterEstimator:
    """A backlog that saw these requests finish."""
    backlog = RetryAfterEstimator(floor_s=floor_s)
    for each_s in held_s:
        backlog.finished(each_s)
    return backlog


@pytest.mark.parametrize(
    ("backlog", "slots", "queued", "held_s", "tier", "retry_after_s"),
    [
        (after(), 4, 0, 0.0, "standard", 1),
        (after(floor_s=5), 4, 0, 0.0, "standard", 5),
        (after(12.0), 4, 0, 0.0, "standard", 3),
        (after(12.0), 4, 3, 0.0, "standard", 12),
        (after(12.1), 1, 0, 0.0, "standard", 13),
        (after(0.05), 4, 0, 0.0, "standard", 1),
        (after(3600.0), 1, 9, 0.0, "standard", 60),
        (after(3600.0), 1, 9, 0.0, "deferred", 60),
        (after(3600.0), 1, 9, 0.0, "realtime", 2),
        (after(0.05), 1, 0, 0.0, "realtime", 1),
        (after(floor_s=30), 1, 0, 0.0, "realtime", 2),
        (after(), 1, 0, 20.0, "standard", 20),
        (after(1.0), 2, 0, 20.0, "standard", 10),
        (after(12.0), 0, 0, 0.0, "standard", 12),
    ],
)
def test_wait_follows_from_time_held_slots_and_queue(  # noqa: PLR0917 - a table
    backlog: RetryAfterEstimator, slots: int, queued: int, held_s: float, tier: Tier, retry_after_s: int
):
    """Mean time over slots for each place ahead; whole seconds within 1..60, within 1..2 for live text."""
    assert backlog.retry_after_s(slots=slots, queued=queued, held_s=held_s, tier=tier) == retry_after_s


def test_what_was_long_ago_is_forgotten():
    """After a long request and thirty short ones the estimate is short."""
    backlog = after(600.0, *[0.5] * 30)
    assert backlog.retry_after_s(slots=1, queued=0, held_s=0.0, tier="standard") < 10
