"""The times of segments as everyone outside sees them: whole milliseconds that never run backwards. Pure.

The stock client drops a segment that starts before the end of the one before it, and a reader of the
stored transcript must find the same times as the client. So both get them from here.
"""

from __future__ import annotations

SHORTEST_MS = 2  # readers drop what is shorter than 0.001 s, and 1.001 - 1.0 is


def placed_ms(start_s: float, end_s: float, *, after_ms: int) -> tuple[int, int]:
    """Start and end in milliseconds, not before `after_ms`, the end of the previous segment."""
    start_ms = max(round(start_s * 1000), after_ms)
    return start_ms, max(round(end_s * 1000), start_ms + SHORTEST_MS)
