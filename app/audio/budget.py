"""Limit how much decoded audio the process holds at once. Thread-safe.

Four hours of samples are 0.92 GB, and a file of 2 MB can hold them: eight at once would end a container of 6 GB. So
decoded samples are counted as they grow, and the request that would exceed the limit is told to retry later.
"""

from __future__ import annotations

import threading
from functools import cache

from app.core.errors import MemoryFull
from app.core.pcm import SAMPLE_RATE_HZ
from app.ops.machine import available_bytes

# Fraction of the available memory; the rest is for the model, its windows and uploads on a memory file system.
SHARE = 0.5
# The first minute of each request is not counted: long files never cause live text to be refused.
FREE_BYTES = 60 * SAMPLE_RATE_HZ * 4
RETRY_AFTER_S = 10


class AudioMemory:
    """The bytes that all requests hold together."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        # Entered twice if the collector frees an array, and so gives memory back, in the middle of a claim.
        self._lock = threading.RLock()

    def change(self, before_bytes: int, after_bytes: int) -> None:
        """Count one holder's `after_bytes` instead of its `before_bytes`.

        Raises:
            MemoryFull: all together would hold too much. A lone holder is never refused: waiting would not help it.
        """
        added_bytes = after_bytes - before_bytes
        with self._lock:
            alone = self._held_bytes == before_bytes
            if alone or added_bytes <= 0 or self._held_bytes + added_bytes <= self._limit_bytes:
                self._held_bytes += added_bytes
                return
        raise MemoryFull(
            "Other long files fill the memory for decoded audio. Retry later, or send a shorter piece.",
            retry_after_s=RETRY_AFTER_S,
        )


class Claim:
    """The bytes that one request holds."""

    def __init__(self, memory: AudioMemory) -> None:
        self._memory = memory
        self._counted_bytes = 0

    def hold(self, n_bytes: int) -> None:
        """Count `n_bytes` for this request from now on.

        Raises:
            MemoryFull: see `AudioMemory.change`; the previous count stays.
        """
        counted_bytes = max(0, n_bytes - FREE_BYTES)
        self._memory.change(self._counted_bytes, counted_bytes)
        self._counted_bytes = counted_bytes

    def release(self) -> None:
        """Count nothing any more."""
        self.hold(0)


@cache
def of_this_process() -> AudioMemory:
    """The limit of this process: half of the memory it may use."""
    return AudioMemory(int(available_bytes() * SHARE))
