"""Model threads around the pure queue: each takes a batch, runs it, and gives every job its result.

Knows nothing of speech. A failing call fails only its own rows: the batch is halved and tried again
until the failing row is alone. No exception ends a model thread.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.core.errors import Cancelled, ShuttingDown
from app.engine.batching.queue import BatchQueue, Job, JobCall

log = logging.getLogger("app.engine")

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BatchDetails:
    """One call, for metrics and logs.

    Attributes:
        rows: windows in the call.
        waited_s: how long its oldest job waited.
        run_s: how long the call took.
    """

    key: Hashable
    rows: int
    waited_s: float
    run_s: float


class Batcher(Generic[P, R]):
    """`n_threads` model threads over one queue.

    Args:
        run: makes one call for payloads that share a key; returns a result for each, in order.
        n_threads: calls that may run at once, one per replica of the model.
        mix_lanes: see `BatchQueue`.
        is_fatal: whether an error means that no later call can succeed; such a batch is not retried.
        on_error: called after every failed call, before the batch is halved.
        on_batch: called after every call that succeeded, once its results are delivered.

    An exception of `on_error` or `on_batch` is logged and changes no result.
    """

    def __init__(
        self,
        run: Callable[[Hashable, Sequence[P]], Sequence[R]],
        *,
        n_threads: int = 1,
        mix_lanes: bool = False,
        is_fatal: Callable[[Exception], bool] = lambda _: False,
        on_error: Callable[[Exception, int], None] = lambda _error, _rows: None,
        on_batch: Callable[[BatchDetails], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._is_fatal = is_fatal
        self._on_error = on_error
        self._on_batch = on_batch
        self._on_busy: Callable[[int, float], None] = lambda _number, _seconds: None
        self._clock = clock
        self._queue: BatchQueue[tuple[P, Future[R]]] = BatchQueue(mix_lanes=mix_lanes)
        self._changed = threading.Condition()
        self._closed = False
        self._busy_since_s: dict[int, float] = {}
        self._last_call_s: float | None = None
        self._call_numbers = itertools.count(1)
        self._idle = 0
        self._threads = [
            threading.Thread(target=self._loop, args=(number,), name=f"model-{number}", daemon=True)
            for number in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def queued(self) -> int:
        """Jobs that wait for the model."""
        with self._changed:
            return len(self._queue)

    def stuck_for_s(self) -> float:
        """Age of the oldest running call; 0 when the model is idle. Each half of a batch is a call of its own."""
        with self._changed:
            return max((self._clock() - since_s for since_s in self._busy_since_s.values()), default=0.0)

    def last_call_age_s(self) -> float | None:
        """Seconds since a call last succeeded; None before the first."""
        return None if self._last_call_s is None else self._clock() - self._last_call_s

    def submit(
        self,
        payload: P,
        *,
        key: Hashable,
        owner: Hashable,
        lane: int = 0,
        max_rows: int = 1,
        cancelled: Callable[[], bool] = lambda: False,
        on_call: Callable[[JobCall], None] = lambda _: None,
    ) -> Future[R]:
        """Add a job to the queue. See `Job` for the arguments.

        Returns:
            Its result; Cancelled or ShuttingDown if it was dropped; whatever `run` raised for it alone.
        """
        future: Future[R] = Future()
        job = Job(
            (payload, future),
            key=key,
            owner=owner,
            lane=lane,
            max_rows=max_rows,
            cancelled=cancelled,
            on_call=on_call,
        )
        with self._changed:
            if self._closed:
                future.set_exception(ShuttingDown("The server is shutting down. Retry shortly.", retry_after_s=1))
                return future
            self._queue.add(job, self._clock())
            self._changed.notify()
        return future

    def announce(self, owner: Hashable, lane: int) -> None:
        """A request is being prepared; see `BatchQueue.announce`."""
        with self._changed:
            self._queue.announce(owner, lane, self._clock())

    def on_batch(self, listener: Callable[[BatchDetails], None]) -> None:
        """Replace `on_batch`: from now on `listener` is called, on a model thread, after every call that succeeded."""
        self._on_batch = listener

    def on_busy(self, listener: Callable[[int, float], None]) -> None:
        """Call `listener` with a model thread's number and the seconds of each of its batches, also of failed ones."""
        self._on_busy = listener

    def sweep(self) -> None:
        """Drop the jobs whose callers have left."""
        with self._changed:
            gone = self._queue.drop_cancelled()
        _fail(gone, Cancelled())

    def forget(self, owner: Hashable) -> None:
        """A request has ended."""
        with self._changed:
            self._queue.forget(owner)
            self._changed.notify()

    def close(self, timeout_s: float | None = None) -> None:
        """Fail what waits, let what runs finish, end the threads."""
        with self._changed:
            self._closed = True
            left = self._queue.drop_all()
            self._changed.notify_all()
        _fail(left, ShuttingDown("The server is shutting down. Retry shortly.", retry_after_s=1))
        for thread in self._threads:
            thread.join(timeout_s)

    def _loop(self, number: int) -> None:
        while (batch := self._next(number)) is not None:
            started_s = self._clock()
            try:
                self._serve(number, batch)
            except Exception as exc:
                log.exception("a bug in the batcher")
                _fail(batch, exc)
            finished_s = self._clock()
            with self._changed:
                self._busy_since_s.pop(number, None)
                self._queue.returned(batch, finished_s)
                self._changed.notify()
            _notify(self._on_busy, number, finished_s - started_s)
            log.debug("batch done", extra={"fields": {"rows": len(batch), "run_ms": (finished_s - started_s) * 1000}})

    def _next(self, number: int) -> list[Job[tuple[P, Future[R]]]] | None:
        """Wait for work; None once the batcher is closed."""
        with self._changed:
            self._idle += 1
            try:
                while not self._closed:
                    gone = self._queue.drop_cancelled()
                    _fail(gone, Cancelled())
                    now_s = self._clock()
                    batch = self._queue.take(now_s, idle=self._idle, busy=len(self._busy_since_s))
                    if batch:
                        self._busy_since_s[number] = now_s
                        if len(self._queue):
                            self._changed.notify()  # what is left may be for another idle thread
                        return batch
                    until_s = self._queue.held_until_s(now_s)
                    self._changed.wait(None if until_s is None else max(until_s - now_s, 0.0001))
                return None
            finally:
                self._idle -= 1

    def _serve(self, number: int, batch: list[Job[tuple[P, Future[R]]]]) -> None:
        """Run a batch; on failure halve it until only what cannot succeed has failed."""
        started_s = self._clock()
        with self._changed:
            self._busy_since_s[number] = started_s
        try:
            results = self._run(batch[0].key, [job.payload[0] for job in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} rows. This is a bug.")  # noqa: TRY301
        except Exception as exc:  # noqa: BLE001 - the top of a thread: any error belongs to its rows
            _notify(self._on_error, exc, len(batch))
            if len(batch) == 1 or self._is_fatal(exc):
                _fail(batch, exc)
                return
            middle = len(batch) // 2
            self._serve(number, batch[:middle])
            self._serve(number, batch[middle:])
            return
        self._last_call_s = finished_s = self._clock()
        call_number = next(self._call_numbers)
        for job, result in zip(batch, results, strict=True):
            _notify(job.on_call, JobCall(call_number, len(batch), job.added_s, started_s, finished_s))
            with contextlib.suppress(InvalidStateError):  # its caller has cancelled the future
                job.payload[1].set_result(result)
        waited_s = started_s - min(job.added_s for job in batch)
        _notify(self._on_batch, BatchDetails(batch[0].key, len(batch), waited_s, finished_s - started_s))


def _notify(listener: Callable[..., object], *about: object) -> None:
    """Call a listener; an exception is logged and does not affect results."""
    try:
        listener(*about)
    except Exception:
        log.exception("a listener of the model threads failed")


def _fail(jobs: Sequence[Job[tuple[P, Future[R]]]], error: Exception) -> None:
    for job in jobs:
        with contextlib.suppress(InvalidStateError):  # it has its result, or its caller has cancelled it
            job.payload[1].set_exception(error)
