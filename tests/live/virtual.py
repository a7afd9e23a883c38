"""An event loop whose clock jumps to the next timer, so that testing an hour of live speech takes seconds.

Nothing may wait for a real socket: clients are in memory, and the service is a mock transport.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of sleeping until the next timer, moves the clock there."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout=None):
        events = super().select(0)
        if not events:
            if timeout is None:
                raise AssertionError("Every task waits and no timer is set: a deadlock.")
            self.now_s += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop with a virtual clock."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """The virtual clock."""
        return self._jumping.now_s


def run(main: Coroutine[Any, Any, T]) -> T:
    """asyncio.run in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
