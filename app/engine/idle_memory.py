"""Returns the memory of past requests when none has run for some seconds.

A busy worker keeps it, because getting it back costs a third of an encoder call, see app/ops/tuning.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# Live streams send a window every second: a worker that serves one is never idle.
IDLE_AFTER_S = 10.0


class IdleMemory:
    """Counts the requests that run. Used on the event loop only.

    Args:
        release: returns the memory; blocking, a few milliseconds.
        after_s: seconds without a request.
    """

    def __init__(self, release: Callable[[], None], *, after_s: float = IDLE_AFTER_S) -> None:
        self._release = release
        self._after_s = after_s
        self._n_running = 0
        self._timer: asyncio.TimerHandle | None = None

    def started(self) -> None:
        """A request has started."""
        self._n_running += 1
        self.close()

    def ended(self) -> None:
        """A request has ended; after the last one the memory is released, unless another starts before."""
        self._n_running -= 1
        if self._n_running == 0:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._after_s, lambda: loop.run_in_executor(None, self._release))

    def close(self) -> None:
        """Release nothing any more, unless another request ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
