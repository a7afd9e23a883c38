"""What a failure of the model means: this row fails, calls stay small for a while, or the process must end.

A CUDA error other than out-of-memory is sticky: no later call in this process can succeed, and
unloading the model may abort. A model thread that does not return is treated the same. Both are
reported once; the server then lets running requests finish and exits, so that a supervisor starts
a new process.
Source: CTranslate2 raises RuntimeError("CUDA failed with error ..."), ("cuBLAS failed with status ...").
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from app.core.errors import MemoryFull
from app.engine.listeners import ErrorKind, ignore

log = logging.getLogger("app.engine")

# After an out-of-memory error calls stay small for this long.
SMALL_FOR_S = 60.0
WATCH_EVERY_S = 1.0

Run = Callable[[Hashable, Sequence[Any]], Sequence[Any]]


class OutOfMemory(Exception):
    """The device has no memory for a call of this size."""


class DoesNotFit(OutOfMemory):
    """The call was not tried: one of its size ran out of memory a moment ago."""


class FailureWatch:
    """Sorts errors, keeps calls small after out-of-memory, and watches for a model that hangs.

    Args:
        stall_limit_s: a call that runs for longer means that the model hangs; 0 = never.
        on_critical: called once, with the reason, when this process can serve no more.
    """

    def __init__(
        self,
        *,
        stall_limit_s: float = 0.0,
        on_critical: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_critical = on_critical
        self._on_error: Callable[[ErrorKind], None] = ignore
        self._stall_limit_s = stall_limit_s
        self._clock = clock
        self._small_until_s = float("-inf")
        self._rows_that_fit: int | None = None
        self._critical: str | None = None
        self._lock = threading.Lock()

    @property
    def critical(self) -> str | None:
        """Why this process can serve no more; None while it can."""
        return self._critical

    def on_critical(self, listener: Callable[[str], None]) -> None:
        """Set what is called when this process can serve no more; it is called at once if that is so already."""
        with self._lock:
            self._on_critical = listener
            reason = self._critical
        if reason is not None:
            listener(reason)

    def on_error(self, listener: Callable[[ErrorKind], None]) -> None:
        """Set what is called for each call of the model that runs out of memory, loses the device or hangs."""
        self._on_error = listener

    def guarded(self, run: Run) -> Run:
        """`run` that refuses calls known not to fit, and raises OutOfMemory for out-of-memory errors."""

        def guarded_run(key: Hashable, rows: Sequence[Any]) -> Sequence[Any]:
            if len(rows) > 1 and not self._fits(len(rows)):
                raise DoesNotFit(f"{len(rows)} rows did not fit a moment ago")
            try:
                return run(key, rows)
            except RuntimeError as exc:
                if is_out_of_memory(exc):
                    self._shrink(len(rows))
                    if len(rows) == 1:
                        raise MemoryFull("The device is out of memory. Retry shortly.", retry_after_s=2) from exc
                    raise OutOfMemory(str(exc)) from exc
                raise

        return guarded_run

    def is_fatal(self, error: Exception) -> bool:
        """Whether no later call can succeed."""
        return is_sticky(error)

    def failed(self, error: Exception, n_rows: int) -> None:
        """A call has failed: log it, and report the process as critical if no later call can succeed."""
        if isinstance(error, DoesNotFit):
            return  # the first one was logged; for a minute every full batch fails like this
        log.warning("model call failed", extra={"fields": {"rows": n_rows, "error": type(error).__name__}})
        if isinstance(error, OutOfMemory | MemoryFull):
            self._on_error("oom")
        if self.is_fatal(error):
            self._on_error("cuda")
            log.error("the device has failed", exc_info=error)
            self._alarm("the device failed and will not recover")

    def check(self, stuck_for_s: float) -> None:
        """Report the process as critical if the model has been in one call for too long."""
        if 0 < self._stall_limit_s < stuck_for_s and self._alarm(
            f"a call of the model has not returned for {stuck_for_s:.0f} s (STALL_LIMIT_S={self._stall_limit_s:g})"
        ):
            self._on_error("stall")

    def observe(self, stuck_for_s: Callable[[], float], *, every_s: float = WATCH_EVERY_S) -> None:
        """Start the watchdog thread, if there is a limit to watch."""
        if self._stall_limit_s > 0:
            threading.Thread(target=self._watch, args=(stuck_for_s, every_s), name="watchdog", daemon=True).start()

    def _watch(self, stuck_for_s: Callable[[], float], every_s: float) -> None:
        while self._critical is None:
            time.sleep(every_s)
            self.check(stuck_for_s())

    def _fits(self, n_rows: int) -> bool:
        with self._lock:
            if self._clock() >= self._small_until_s:
                self._rows_that_fit = None
            return self._rows_that_fit is None or n_rows <= self._rows_that_fit

    def _shrink(self, n_rows: int) -> None:
        with self._lock:
            self._rows_that_fit = max(1, min(n_rows // 2, self._rows_that_fit or n_rows))
            self._small_until_s = self._clock() + SMALL_FOR_S

    def _alarm(self, reason: str) -> bool:
        """Report the process as critical; False if it is already."""
        with self._lock:
            if self._critical is not None:
                return False
            self._critical = reason
            listener = self._on_critical
        listener(reason)
        return True


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller call may succeed."""
    text = str(error).lower()
    return "out of memory" in text or "alloc_failed" in text


def is_sticky(error: Exception) -> bool:
    """Whether this process can no longer use the device."""
    text = str(error)
    return (
        isinstance(error, RuntimeError)
        and not is_out_of_memory(error)
        and ("CUDA failed" in text or "cuBLAS failed" in text or "CUDA error" in text)
    )
