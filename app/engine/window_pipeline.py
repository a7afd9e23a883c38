"""Decode the windows of one upload concurrently and give the results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from app.engine.windows import Scanned, Window

T = TypeVar("T")


def decode_in_order(
    first: tuple[Window, Callable[[], T]],
    rest: Iterator[Window | Scanned],
    decode: Callable[[Window], T],
    *,
    n_at_once: int,
    check_caller: Callable[[], None],
) -> Generator[tuple[Window, T] | Scanned, None, None]:
    """Decode the first window on this thread and the others on threads of this call.

    Args:
        first: the first window and what decodes it.
        rest: the other windows, found lazily; a `Scanned` means that one more block held no new window.
        decode: decodes a window; called on a thread of its own.
        n_at_once: windows that are decoded at the same time.
        check_caller: called between windows and between blocks; raises if the caller has left.

    Yields:
        Each window with its result, in order; a `Scanned` where nothing waits for a result.
    """
    # Threads of this call only: they mostly wait for the model, and windows of another request never wait for them.
    threads = ThreadPoolExecutor(n_at_once, thread_name_prefix="window")
    running: deque[tuple[Window, Future[T]]] = deque()

    def start(limit: int) -> Scanned | None:
        """Start windows until `limit` run, the windows are used up, or a block held no new one."""
        while len(running) < limit:
            found = next(rest, None)
            if not isinstance(found, Window):
                return found
            running.append((found, threads.submit(decode, found)))
        return None

    try:
        start(n_at_once - 1)
        yield first[0], first[1]()
        while True:
            check_caller()
            scanned = start(n_at_once)
            if scanned is not None and not running:
                yield scanned
            elif not running:
                return
            elif scanned is None or running[0][1].done():
                window, result = running.popleft()
                yield window, result.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
