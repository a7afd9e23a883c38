"""Times as every response shows them: finite, not negative, in whole milliseconds. Pure."""

from __future__ import annotations

from typing import Final

_LONGEST_S: Final = 359_999.0  # a hundred hours: an infinite time has to become some number


def bounded(value: float, low: float, high: float) -> float:
    """Return `value` within [low, high]; NaN becomes `low`."""
    if low <= value <= high:
        return float(value)
    return high if value > high else low


def to_ms(time_s: float) -> int:
    """Round seconds to whole milliseconds."""
    return round(bounded(time_s, 0.0, _LONGEST_S) * 1000)


def span_ms(start_s: float, end_s: float) -> tuple[int, int]:
    """Return start and end in milliseconds; the span is at least one millisecond long."""
    start_ms = to_ms(start_s)
    return start_ms, max(to_ms(end_s), start_ms + 1)
