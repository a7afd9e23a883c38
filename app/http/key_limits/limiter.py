"""What the keys of the keys file have used, and whether they may have more.

A request counts from the moment it is let in until its answer is sent. One that is then answered with a 503 did not
count: a proxy or the client sends it again.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.core.errors import AudioQuotaUsed, KeyLimitReached
from app.http.key_limits.counters import Counters
from app.http.key_limits.periods import DAY_S, MINUTE_S, Period, Standing, day_of, minute_of, standing
from app.ops.keys import Key

CONCURRENT_RETRY_AFTER_S: Final = 2  # when one of its requests ends is not known
MAX_RETRY_AFTER_S: Final = 3600  # an operator may raise the limit before the day ends


@dataclass(frozen=True, slots=True)
class Usage:
    """What a key has used.

    Attributes:
        requests: in this minute.
        minute: when it ends.
        running: requests at this moment.
        audio_s: seconds of audio, today.
        day: when it ends.
    """

    requests: int
    minute: Period
    running: int
    audio_s: float
    day: Period


@dataclass(frozen=True, slots=True)
class CountedRequest:
    """A request that was let in; `KeyLimiter.end` must be called with it, once.

    Attributes:
        name: of its key.
        request: its id among those that run.
        minute: to which it counts.
    """

    name: str
    request: str
    minute: Period


class KeyLimiter:
    """The limits of named keys, over one kind of counters."""

    def __init__(self, counters: Counters, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix time in seconds."""
        self._counters = counters
        self._clock = clock

    async def let_in(self, key: Key) -> CountedRequest:
        """Count a request that begins.

        Raises:
            AudioQuotaUsed, KeyLimitReached: the request was not counted.
        """
        now_s = self._clock()
        await self._check_audio(key, now_s)
        request = uuid.uuid4().hex
        if not await self._counters.enter(key.name, request, limit=key.concurrent):
            raise KeyLimitReached(
                f"The key '{key.name}' has {key.concurrent} requests running, which is its limit (concurrent). Retry "
                "when one of them has ended.",
                limit="concurrent",
                retry_after_s=CONCURRENT_RETRY_AFTER_S,
            )
        minute = minute_of(now_s)
        try:
            await self._count_request(key, minute, now_s)
        except BaseException:
            await self._counters.leave(key.name, request)
            raise
        return CountedRequest(key.name, request, minute)

    async def end(self, counted: CountedRequest, *, audio_s: float, undo: bool) -> None:
        """Count what a request was.

        Args:
            counted: the request.
            audio_s: seconds of audio that were transcribed; they belong to the day on which it ends.
            undo: no work was done, so that it does not count.
        """
        day = day_of(self._clock())
        await self._counters.leave(counted.name, counted.request)
        if undo:
            await self._counters.add(_requests(counted.name, counted.minute), -1, expires_s=2 * MINUTE_S)
        elif audio_s > 0:
            await self._counters.add(_audio_ms(counted.name, day), math.ceil(audio_s * 1000), expires_s=2 * DAY_S)

    async def standing(self, key: Key) -> Standing | None:
        """How its limit of requests per minute stands; None without one."""
        if key.requests_per_minute is None:
            return None
        now_s = self._clock()
        used = await self._counters.read(_requests(key.name, minute_of(now_s)))
        return standing(limit=key.requests_per_minute, used=used, now_s=now_s)

    async def usage(self, key: Key) -> Usage:
        """What it has used of everything that is counted, also without a limit."""
        now_s = self._clock()
        minute, day = minute_of(now_s), day_of(now_s)
        return Usage(
            requests=max(0, await self._counters.read(_requests(key.name, minute))),
            minute=minute,
            running=await self._counters.running(key.name),
            audio_s=await self._counters.read(_audio_ms(key.name, day)) / 1000,
            day=day,
        )

    async def _check_audio(self, key: Key, now_s: float) -> None:
        if key.audio_seconds_per_day is None:
            return
        day = day_of(now_s)
        if await self._counters.read(_audio_ms(key.name, day)) < key.audio_seconds_per_day * 1000:
            return
        raise AudioQuotaUsed(
            f"The key '{key.name}' has used its {key.audio_seconds_per_day:.12g} seconds of audio for {day.name} "
            "(audio_seconds_per_day). The next day begins at 00:00 UTC.",
            retry_after_s=min(MAX_RETRY_AFTER_S, max(1, math.ceil(day.ends_s - now_s))),
        )

    async def _count_request(self, key: Key, minute: Period, now_s: float) -> None:
        counter = _requests(key.name, minute)
        used = await self._counters.add(counter, 1, expires_s=2 * MINUTE_S)
        if key.requests_per_minute is None or used <= key.requests_per_minute:
            return
        await self._counters.add(counter, -1, expires_s=2 * MINUTE_S)
        retry_after_s = max(1, math.ceil(minute.ends_s - now_s))
        raise KeyLimitReached(
            f"The key '{key.name}' has used its {key.requests_per_minute} requests of this minute "
            f"(requests_per_minute). Retry in {retry_after_s} s.",
            limit="requests",
            retry_after_s=retry_after_s,
        )


def _requests(name: str, minute: Period) -> str:
    return f"requests:{name}:{minute.name}"


def _audio_ms(name: str, day: Period) -> str:
    return f"audio_ms:{name}:{day.name}"
