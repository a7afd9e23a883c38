"""Receive a request's body within limits of size, time and memory, whatever its headers announce.

Uploads that are not complete share one budget of memory, and a client that stops sending is refused:
otherwise a few hundred slow clients could hold all memory of the process.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from app.core.errors import Cancelled, MemoryFull, TooLarge, UploadStalled

# Sizes of 10^18 bytes and above are all the same; int() would refuse numbers of thousands of digits.
MAX_SIZE_DIGITS: Final = 18
BUDGET_RETRY_S: Final = 5  # most uploads take seconds


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What unfinished uploads may take.

    Attributes:
        chunk_timeout_s: a client may pause this long while it sends.
        min_bytes_per_s: the slowest upload over all, after its first `chunk_timeout_s`.
        max_unfinished_bytes: memory of all uploads that are not complete.
    """

    chunk_timeout_s: float = 60.0
    min_bytes_per_s: float = 1024.0
    max_unfinished_bytes: int = 512 * 1024 * 1024


class Share:
    """What one upload holds of the budget."""

    def __init__(self, budget: UploadBudget) -> None:
        self.limits = budget.limits
        self._budget = budget
        self._held_bytes = 0

    def hold(self, n_bytes: int) -> None:
        """Hold so many bytes, instead of those held before.

        Raises:
            MemoryFull: that would exceed the budget of all uploads.
        """
        self._budget.change(n_bytes - self._held_bytes)
        self._held_bytes = n_bytes


class UploadBudget:
    """The memory that unfinished uploads hold together. Lives on the event loop."""

    def __init__(self, limits: UploadLimits = UploadLimits()) -> None:
        self.limits = limits
        self.held_bytes = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A share for one upload; given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.hold(0)

    def change(self, n_bytes: int) -> None:
        """Add to what is held; errors as in `Share.hold`."""
        if n_bytes > 0 and self.held_bytes + n_bytes > self.limits.max_unfinished_bytes:
            raise MemoryFull("Too many uploads are in progress. Retry shortly.", retry_after_s=BUDGET_RETRY_S)
        self.held_bytes += n_bytes


async def chunks_of(
    request: Request, *, max_body_bytes: int, limits: UploadLimits, clock: Callable[[], float] = time.monotonic
) -> AsyncGenerator[bytes, None]:
    """The body as it arrives.

    Args:
        request: with an unread body.
        max_body_bytes: the longest body, counted as it arrives.
        limits: the longest wait for the next chunk, and the slowest rate.
        clock: seconds.
    Raises:
        TooLarge: the body is longer than `max_body_bytes`.
        UploadStalled: nothing, or too little, arrived.
        Cancelled: the client left.
    """
    received, started_s = 0, clock()
    stream = request.stream()
    while (chunk := await _next(stream, limits.chunk_timeout_s)) is not None:
        received += len(chunk)
        if clock() - started_s > limits.chunk_timeout_s + received / limits.min_bytes_per_s:
            raise UploadStalled(
                f"The upload is slower than {limits.min_bytes_per_s:g} bytes per second; it was given up."
            )
        if received > max_body_bytes:
            raise TooLarge(f"The request body is larger than {max_body_bytes / 1024 / 1024:g} MiB.")
        yield chunk


def content_length(headers: Headers) -> int | None:
    """The announced size of a body in bytes, at most 10^18; None if the header is absent or not a number."""
    announced = headers.get("content-length", "")
    if not re.fullmatch("[0-9]+", announced):
        return None
    digits = announced.lstrip("0") or "0"
    return int(digits) if len(digits) <= MAX_SIZE_DIGITS else 10**MAX_SIZE_DIGITS


async def _next(stream: AsyncGenerator[bytes, None], timeout_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(timeout_s):
            return await anext(stream, None)
    except TimeoutError:
        raise UploadStalled(f"No data arrived for {timeout_s:g} seconds; the upload was given up.") from None
    except ClientDisconnect as exc:
        raise Cancelled("The client left while sending.") from exc
