"""Counts of one process, in its memory; and what counts have in common, wherever they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from limits.aio.storage import MemoryStorage


class Counters(Protocol):
    """Numbers by name, and which requests of each key are running."""

    async def add(self, counter: str, amount: int, *, expires_s: int) -> int:
        """Add to a counter, which is forgotten some time after its first use; return its new value."""

    async def read(self, counter: str) -> int:
        """The value of a counter; 0 if it was never used."""

    async def enter(self, name: str, request: str, *, limit: int | None) -> bool:
        """Note that a request of a key runs; False, and nothing is noted, if `limit` others do."""

    async def leave(self, name: str, request: str) -> None:
        """Note that a request has ended."""

    async def running(self, name: str) -> int:
        """How many requests of a key run."""


class OwnCounters:
    """What this process has counted itself."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._running: defaultdict[str, set[str]] = defaultdict(set)

    async def add(self, counter: str, amount: int, *, expires_s: int) -> int:
        """See `Counters`."""
        return await self._storage.incr(counter, expires_s, amount)

    async def read(self, counter: str) -> int:
        """See `Counters`."""
        return await self._storage.get(counter)

    async def enter(self, name: str, request: str, *, limit: int | None) -> bool:
        """See `Counters`."""
        if limit is not None and len(self._running[name]) >= limit:
            return False
        self._running[name].add(request)
        return True

    async def leave(self, name: str, request: str) -> None:
        """See `Counters`."""
        requests = self._running[name]
        requests.discard(request)
        if not requests:
            del self._running[name]

    async def running(self, name: str) -> int:
        """See `Counters`."""
        return len(self._running.get(name, ()))

    def all_running(self) -> Mapping[str, Sequence[str]]:
        """The requests that run now, by the name of their key."""
        return {name: tuple(requests) for name, requests in self._running.items() if requests}
