"""How long to wait before the next try. Pure."""

from __future__ import annotations


class Backoff:
    """Pauses that double from `first_s` up to `longest_s`."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Seconds to wait now."""
        pause_s = self._next_s
        self._next_s = min(2 * pause_s, self._longest_s)
        return pause_s

    def reset(self) -> None:
        """It worked: the next pause is the first one again."""
        self._next_s = self._first_s
