"""How much the slots are used: their sum over time, exactly, and for how long nothing has come out of them.

A gauge of the slots in use, read every 15 s, misses what happens in between. Lives on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable


class SlotUse:
    """Counts slots as they are taken and given back.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._in_use = 0
        self._used_s = 0.0  # up to `_changed_s`
        self._changed_s = self._progress_s = clock()

    @property
    def slot_s(self) -> float:
        """Seconds for which slots were in use, all slots together, up to now."""
        return self._used_s + self._in_use * (self._clock() - self._changed_s)

    @property
    def without_progress_s(self) -> float:
        """Seconds since a slot was given back, or since all of them were free; 0 while they are."""
        return self._clock() - self._progress_s if self._in_use else 0.0

    def take(self) -> None:
        """A slot is in use from now on."""
        self._change(1)
        if self._in_use == 1:
            self._progress_s = self._changed_s

    def give_back(self) -> None:
        """The work of a slot has ended."""
        self._change(-1)
        self._progress_s = self._changed_s

    def _change(self, by: int) -> None:
        now_s = self._clock()
        self._used_s += self._in_use * (now_s - self._changed_s)
        self._changed_s = now_s
        self._in_use += by
