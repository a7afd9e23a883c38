"""Counts of all workers, and of this one alone while the shared ones cannot be reached.

Everything is counted here too: so a limit holds at least for what this worker has served, whatever happens to the
shared counts. Nobody is refused, and nobody waits long, because Redis is away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from app.http.key_limits.counters import Counters, OwnCounters

T = TypeVar("T")
log = logging.getLogger("app.keys")

RENEW_EVERY_S: Final = 5.0
# Ends of requests that the shared counts have not heard of. After a long break they have forgotten those requests.
MAX_OWED: Final = 1000


class RemoteCounters(Counters, Protocol):
    """Counters somewhere else: every method may raise the exception that `SharedCounters` was given."""

    async def renew(self, running: Mapping[str, Sequence[str]], *, put_back: bool) -> None:
        """Keep these requests counted as running, and with `put_back` count them again."""

    async def close(self) -> None:
        """Close connections."""


class SharedCounters:
    """Counts in both places; the larger number counts."""

    def __init__(self, shared: RemoteCounters, *, away_error: type[Exception]) -> None:
        """`away_error` is what `shared` raises if it cannot be reached."""
        self._shared = shared
        self._own = OwnCounters()
        self._away_error = away_error
        self._away = False
        self._owed: list[tuple[str, str]] = []  # (name, request) that have ended meanwhile

    async def add(self, counter: str, amount: int, *, expires_s: int) -> int:
        """See `Counters`."""
        own = await self._own.add(counter, amount, expires_s=expires_s)
        return max(own, await self._ask(lambda: self._shared.add(counter, amount, expires_s=expires_s), own))

    async def read(self, counter: str) -> int:
        """See `Counters`."""
        own = await self._own.read(counter)
        return max(own, await self._ask(lambda: self._shared.read(counter), own))

    async def enter(self, name: str, request: str, *, limit: int | None) -> bool:
        """See `Counters`."""
        if not await self._own.enter(name, request, limit=limit):
            return False
        if await self._ask(lambda: self._shared.enter(name, request, limit=limit), instead=True):
            return True
        await self._own.leave(name, request)
        return False

    async def leave(self, name: str, request: str) -> None:
        """See `Counters`."""
        await self._own.leave(name, request)
        await self._ask(lambda: self._shared.leave(name, request), None)
        if self._away and len(self._owed) < MAX_OWED:
            self._owed.append((name, request))

    async def running(self, name: str) -> int:
        """See `Counters`."""
        own = await self._own.running(name)
        return max(own, await self._ask(lambda: self._shared.running(name), own))

    async def renew(self) -> None:
        """Renew what runs here, deliver what has ended, and notice that the shared counts are away or back."""
        try:
            await self._shared.renew(self._own.all_running(), put_back=self._away)
            while self._owed:
                await self._shared.leave(*self._owed[0])
                del self._owed[0]  # others may have been added at the end
        except self._away_error as error:
            self._note_away(error)
            return
        if self._away:
            self._away = False
            log.info("limits of API keys are shared between workers again")

    async def keep_renewing(self, *, every_s: float = RENEW_EVERY_S) -> None:
        """Renew until cancelled, then close the connections."""
        try:
            while True:
                await self.renew()
                await asyncio.sleep(every_s)
        finally:
            await self._shared.close()

    async def _ask(self, ask: Callable[[], Awaitable[T]], instead: T) -> T:
        """What the shared counts answer; `instead` without asking while they are known to be away."""
        if self._away:
            return instead
        try:
            return await ask()
        except self._away_error as error:
            self._note_away(error)
            return instead

    def _note_away(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            log.warning(
                "limits of API keys are counted by each worker for itself: REDIS_URL does not answer",
                extra={"fields": {"reason": str(error)}},
            )
