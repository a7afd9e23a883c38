from __future__ import annotations

import pytest

from app.core.errors import AudioQuotaUsed, KeyLimitReached
from app.http.key_limits.counters import OwnCounters
from app.http.key_limits.limiter import KeyLimiter
from app.http.key_limits.periods import Standing
from app.ops.keys import Key
from tests.fakes import FakeClock

NEW_YEAR_S = 1_767_225_600  # 2026-01-01T00:00:00Z


class Limits:
    """A limiter with a clock that the test advances."""

    def __init__(self) -> None:
        self.clock = FakeClock(NEW_YEAR_S)
        self.limiter = KeyLimiter(OwnCounters(), clock=self.clock)

    async def serve(self, key: Key, *, audio_s: float = 0.0, undo: bool = False) -> None:
        """A whole request."""
        counted = await self.limiter.let_in(key)
        await self.limiter.end(counted, audio_s=audio_s, undo=undo)

    async def refusal(self, key: Key) -> KeyLimitReached:
        """Why a request is refused now."""
        with pytest.raises(KeyLimitReached) as refused:
            await self.limiter.let_in(key)
        return refused.value


def key(name: str = "alice", **limits: float) -> Key:
    """A key with these limits."""
    return Key(digest=name.encode(), name=name, **limits)  # type: ignore[arg-type]  # whole numbers


async def test_requests_per_minute():
    """Refused until the minute of the clock ends; a refused request is not counted, and keys are counted apart."""
    limits, alice = Limits(), key(requests_per_minute=2)
    limits.clock.advance(18.25)
    assert await limits.limiter.standing(alice) == Standing(2, 2, 0.0)
    for _ in range(2):
        await limits.serve(alice)
    refused = await limits.refusal(alice)
    assert (refused.limit, refused.retry_after_s) == ("requests", 42)
    message = "The key 'alice' has used its 2 requests of this minute (requests_per_minute). Retry in 42 s."
    assert refused.message == message
    assert await limits.limiter.standing(alice) == Standing(2, 0, 41.75)
    assert (await limits.limiter.usage(alice)).requests == 2
    await limits.serve(key("bob", requests_per_minute=2))
    limits.clock.advance(41.75)
    await limits.serve(alice)


async def test_concurrent_requests():
    """Refused while others run; not counted among the requests of the minute."""
    limits, alice = Limits(), key(concurrent=1, requests_per_minute=2)
    running = await limits.limiter.let_in(alice)
    for _ in range(3):
        refused = await limits.refusal(alice)
        assert (refused.limit, refused.retry_after_s) == ("concurrent", 2)
        assert "(concurrent)" in refused.message
    usage = await limits.limiter.usage(alice)
    assert (usage.running, usage.requests) == (1, 1)
    await limits.limiter.end(running, audio_s=0, undo=False)
    await limits.serve(alice)
    assert (await limits.limiter.usage(alice)).running == 0


async def test_a_request_over_the_minute_takes_no_place():
    """Otherwise every refusal would leave one request running for ever."""
    limits, alice = Limits(), key(concurrent=2, requests_per_minute=1)
    await limits.serve(alice)
    for _ in range(5):
        assert (await limits.refusal(alice)).limit == "requests"
    assert (await limits.limiter.usage(alice)).running == 0


async def test_audio_of_the_day():
    """The request that crosses the line is finished, the next one is refused until the day ends in UTC."""
    limits, alice = Limits(), key(audio_seconds_per_day=10, requests_per_minute=100)
    limits.clock.advance(86_400 - 4000)
    await limits.serve(alice, audio_s=9.999)
    await limits.serve(alice, audio_s=30)
    refused = await limits.refusal(alice)
    assert isinstance(refused, AudioQuotaUsed)
    assert (refused.limit, refused.retry_after_s) == ("audio", 3600)
    assert refused.message == (
        "The key 'alice' has used its 10 seconds of audio for 2026-01-01 (audio_seconds_per_day). The next day begins "
        "at 00:00 UTC."
    )
    usage = await limits.limiter.usage(alice)
    assert (usage.audio_s, usage.day.ends_s, usage.running) == (39.999, NEW_YEAR_S + 86_400, 0)
    limits.clock.advance(3999.5)
    assert (await limits.refusal(alice)).retry_after_s == 1
    limits.clock.advance(0.5)
    await limits.serve(alice)


async def test_what_was_answered_with_a_503_did_not_count():
    """A proxy or the client sends it again: it has cost nothing, also if the minute has ended meanwhile."""
    limits, alice = Limits(), key(requests_per_minute=1)
    for _ in range(3):
        await limits.serve(alice, audio_s=5, undo=True)
    counted = await limits.limiter.let_in(alice)
    limits.clock.advance(60)
    await limits.limiter.end(counted, audio_s=0, undo=True)
    usage = await limits.limiter.usage(alice)
    assert (usage.requests, usage.audio_s, usage.running) == (0, 0, 0)


async def test_without_limits_everything_is_counted_and_nothing_refused():
    """So that /v1/usage and a limit that is set later know it."""
    limits = Limits()
    running = [await limits.limiter.let_in(key()) for _ in range(50)]
    assert await limits.limiter.standing(key()) is None
    assert (await limits.limiter.usage(key())).running == 50
    for counted in running:
        await limits.limiter.end(counted, audio_s=2, undo=False)
    usage = await limits.limiter.usage(key())
    assert (usage.requests, usage.audio_s, usage.running) == (50, 100, 0)
    assert (await limits.refusal(key(audio_seconds_per_day=100))).limit == "audio"
