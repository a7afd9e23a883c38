"""How much decoded audio the process may hold at once. Thread-safe.

Four hours of samples are 0.92 GB, and a file of 2 MB can hold them: eight at once would end a container of 6 GB. So
what is decoded is counted as it grows, and the file that would be too much is asked to come back.
"""

from __future__ import annotations

import threading
from functools import cache

from app.core.errors import Overloaded
from app.core.pcm import SAMPLE_RATE_HZ
from app.ops.machine import available_bytes

# Of the memory there is; the rest is for the model, its windows and uploads on a memory file system.
SHARE = 0.5
# A minute of samples is not counted: long files never turn live text away.
FREE_BYTES = 60 * SAMPLE_RATE_HZ * 4
RETRY_AFTER_S = 10


class AudioMemory:
    """What all requests hold together."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        # Entered twice if the collector frees an array, and so gives memory back, in the middle of a claim.
        self._lock = threading.RLock()

    @property
    def held_bytes(self) -> int:
        """What is counted now."""
        return self._held_bytes

    def change(self, before_bytes: int, after_bytes: int) -> None:
        """Count one holder's `after_bytes` instead of its `before_bytes`.

        Raises:
            Overloaded: with it, all would hold too much. Who holds alone is never refused: no wait would help.
        """
        added_bytes = after_bytes - before_bytes
        with self._lock:
            alone = self._held_bytes == before_bytes
            if alone or added_bytes <= 0 or self._held_bytes + added_bytes <= self._limit_bytes:
                self._held_bytes += added_bytes
                return
        raise Overloaded(
            "Other long files fill the memory for decoded audio. Retry later, or send a shorter piece.",
            retry_after_s=RETRY_AFTER_S,
        )


class Claim:
    """One request's part of it."""

    def __init__(self, memory: AudioMemory) -> None:
        self._memory = memory
        self._counted_bytes = 0

    def hold(self, n_bytes: int) -> None:
        """Hold that much from now on.

        Raises:
            Overloaded: see `AudioMemory.change`; what was held stays held.
        """
        counted_bytes = max(0, n_bytes - FREE_BYTES)
        self._memory.change(self._counted_bytes, counted_bytes)
        self._counted_bytes = counted_bytes

    def release(self) -> None:
        """Give all of it back."""
        self.hold(0)


@cache
def of_this_process() -> AudioMemory:
    """Half of what this process may use."""
    return AudioMemory(int(available_bytes() * SHARE))
