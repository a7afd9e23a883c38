"""The keys that a worker accepts and their limits: built from its settings, and kept up to date while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from app.http.key_limits.counters import OwnCounters
from app.http.key_limits.limiter import KeyLimiter
from app.http.key_limits.shared_counters import SharedCounters
from app.ops.keys import Key, KeyRing
from app.ops.keys_file import KeysFile
from app.ops.keys_watch import watch_keys


class WorkerKeys:
    """The keys of one worker.

    Attributes:
        ring: the accepted keys.
        limiter: what those with a name have used.
    """

    def __init__(
        self,
        keys: Sequence[str] = (),
        *,
        file: str = "",
        redis_url: str = "",
        on_named: Callable[[Iterable[Key]], None] | None = None,
    ) -> None:
        """Read the keys file, if there is one.

        Args:
            keys: those without limits.
            file: path of the keys file; empty if there is none.
            redis_url: where workers count together; empty if each counts for itself.
            on_named: called with the keys of the file, now and each time it has changed.

        Raises:
            StartupError: the file cannot be used.
        """
        self._file = KeysFile(file) if file else None
        self._on_named = on_named
        named = None if self._file is None else self._file.load()
        self.ring = KeyRing(keys, named=named)
        self._shared = _shared(redis_url) if redis_url and file else None
        self.limiter = KeyLimiter(OwnCounters() if self._shared is None else self._shared)
        self._follow(named or ())

    async def keep_up_to_date(self) -> None:
        """Follow the file and keep what is counted elsewhere, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            if self._file is not None:
                tasks.create_task(watch_keys(self._file, self._follow))
            if self._shared is not None:
                tasks.create_task(self._shared.keep_renewing())

    def _follow(self, named: tuple[Key, ...]) -> None:
        self.ring.replace_named(named)
        if self._on_named is not None:
            self._on_named(named)


def _shared(redis_url: str) -> SharedCounters:
    from app.http.key_limits.redis_counters import Away, RedisCounters  # noqa: PLC0415 - few workers need redis

    return SharedCounters(RedisCounters(redis_url), away_error=Away)
