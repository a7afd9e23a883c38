"""Writes numbered words to the stream at a fixed rate, whatever the collector does, and notes what Redis answered.

Open loop: each entry has its time, and one that is late does not delay the next ones. While Redis is away, entries
wait and are written again until it answers, as the live gateway does, so one may arrive twice.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.contracts.collector import PAYLOAD_FIELD, SEGMENTS_STREAM
from bench.collector.words import Talk

TICK_S = 0.005
RETRY_S = 0.1
MOST_AT_ONCE = 500


def client(url: str, *, timeout_s: float = 5.0) -> Redis:
    """A client without retries of its own."""
    return Redis.from_url(
        url,
        decode_responses=True,
        encoding_errors="replace",
        protocol=2,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )


@dataclass(slots=True)
class Oracle:
    """What Redis acknowledged.

    Attributes:
        words: by meeting, in the order in which they were said.
        written_s: by word, when Redis answered (monotonic seconds), if it is asked for.
        repeated: entries that were written again, because there was no answer.
    """

    words: dict[int, list[str]] = field(default_factory=dict)
    written_s: dict[str, float] = field(default_factory=dict)
    repeated: int = 0

    @property
    def count(self) -> int:
        """How many words were acknowledged."""
        return sum(len(words) for words in self.words.values())


class Generator:
    """Talks in several meetings at once, one word in each in turn."""

    def __init__(self, url: str, talks: Sequence[Talk], *, stream: str = SEGMENTS_STREAM) -> None:
        """Connect at the first word.

        Args:
            url: of Redis.
            talks: sessions of different meetings.
            stream: its key.
        """
        self._redis = client(url)
        self._talks = talks
        self._stream = stream
        self._counts = [0] * len(talks)
        self._next = 0
        self.oracle = Oracle(words={talk.meeting: [] for talk in talks})

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    async def start(self) -> None:
        """Write the start of every session."""
        await self._write([talk.start() for talk in self._talks])

    async def end(self) -> None:
        """Write the end of every session, with the number of its finals."""
        await self._write([talk.end(count) for talk, count in zip(self._talks, self._counts, strict=True)])

    async def talk(self, *, rate: float, seconds: float, going_on: Callable[[], bool] = lambda: True) -> None:
        """Write `rate` words each second for so long."""
        started, written = time.monotonic(), 0
        while (passed_s := time.monotonic() - started) < seconds and going_on():
            due = min(int(passed_s * rate), int(seconds * rate)) - written
            if due > 0:
                await self.say(min(due, MOST_AT_ONCE))
                written += min(due, MOST_AT_ONCE)
            else:
                await asyncio.sleep(TICK_S)
        if going_on():
            await self.say(int(seconds * rate) - written)

    async def say(self, count: int) -> None:
        """Write the next words; return when Redis has all of them."""
        words, payloads = [], []
        for _ in range(count):
            index = self._next % len(self._talks)
            talk, number = self._talks[index], self._counts[index]
            words.append((talk.meeting, talk.word(number)))
            payloads.append(talk.final(number))
            self._counts[index] += 1
            self._next += 1
        await self._write(payloads)
        now = time.monotonic()
        for meeting, word in words:
            self.oracle.words[meeting].append(word)
            self.oracle.written_s[word] = now

    async def _write(self, payloads: Sequence[dict[str, Any]]) -> None:
        left = list(payloads)
        while left:
            pipe = self._redis.pipeline(transaction=False)
            for payload in left[:MOST_AT_ONCE]:
                pipe.xadd(self._stream, {PAYLOAD_FIELD: json.dumps(payload)})
            try:
                answers = await pipe.execute(raise_on_error=False)
            except (RedisError, OSError):
                answers = [None] * len(left[:MOST_AT_ONCE])
            refused = [body for body, answer in zip(left, answers, strict=False) if not isinstance(answer, str)]
            left = refused + left[MOST_AT_ONCE:]
            if refused:
                self.oracle.repeated += len(refused)
                await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def talking(url: str, talks: Sequence[Talk], *, rate: float, seconds: float) -> AsyncIterator[Generator]:
    """Talk while the block runs, `rate` words a second in all; everything is written when the block has ended."""
    generator = Generator(url, talks)
    await generator.start()
    task = asyncio.create_task(generator.talk(rate=rate, seconds=seconds))
    try:
        yield generator
        await task
        await generator.end()
    finally:
        task.cancel()
        await generator.close()  # it connects again if it is used again
