"""Read the streams as one consumer of a group: new entries, stale deliveries of others, acknowledgements.

The blocking read has a client of its own. Nothing here is repeated after a failure: an entry that was delivered and
not acknowledged is delivered again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.collector.redis_io.connection import Client, RedisRefused
from app.collector.redis_io.entries import DeadLetter, RawEntry
from app.collector.redis_io.groups import create_groups, is_missing_group
from app.contracts.collector import DEAD_SUFFIX

MAX_DEAD_LETTERS: Final = 10_000
CLAIM_START: Final = "0-0"
MAX_PENDING: Final = 10_000  # of one consumer, far more than a batch


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a consumer reads.

    Attributes:
        streams: all that are read, in one command.
        consumer: a name that no other process has, or two would share each other's deliveries.
        count: the most entries of one stream in a batch.
        block_ms: how long a read waits for the first entry.
        linger_s: how long it then waits for more, so that a burst shares a transaction.
        claim_idle_ms: deliveries that were not acknowledged for so long are taken over.
    """

    streams: tuple[str, ...]
    group: str
    consumer: str
    count: int = 200
    block_ms: int = 1000
    linger_s: float = 0.02
    claim_idle_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class Claimed:
    """Stale deliveries that are now this consumer's.

    Attributes:
        deliveries: by entry id, how often each was delivered, this time included.
        deleted: how many of them are no longer in the stream: they were trimmed before they were stored.
        cursor: where to go on; `0-0` at the end.
    """

    entries: tuple[RawEntry, ...]
    deliveries: dict[str, int]
    deleted: int
    cursor: str


class StreamReader:
    """One consumer of a group."""

    def __init__(self, blocking: Client, commands: Client, options: ReadOptions) -> None:
        """Connect at the first use.

        Args:
            blocking: a client for the blocking read alone.
            commands: for everything else; may be shared.
            options: what to read, and as whom.
        """
        self._blocking = blocking
        self._commands = commands
        self.options = options

    async def prepare(self) -> None:
        """Create the group where it is missing, from the stream's beginning."""
        await create_groups(self._commands, self.options.streams, self.options.group)

    async def read(self) -> list[RawEntry]:
        """New entries, empty if none came in time. A missing group is created, and read the next time."""
        options = self.options
        try:
            entries = await self._read(options.count, options.block_ms)
            if entries and len(entries) < options.count and options.linger_s:
                await asyncio.sleep(options.linger_s)
                entries += await self._read(options.count - len(entries), None)
        except RedisRefused as error:
            if not is_missing_group(error):
                raise
            await self.prepare()
            return []
        return entries

    async def claim(self, stream: str, cursor: str = CLAIM_START) -> Claimed:
        """Take over some stale deliveries of any consumer, this one included."""
        options = self.options
        try:
            answer: Any = await self._commands.xautoclaim(
                stream, options.group, options.consumer, options.claim_idle_ms, start_id=cursor, count=options.count
            )
        except RedisRefused as error:
            if not is_missing_group(error):
                raise
            await self.prepare()
            return Claimed((), {}, 0, CLAIM_START)
        entries = tuple(RawEntry(stream, id_, fields) for id_, fields in answer[1] if fields is not None)
        deleted = len(answer[2]) if len(answer) > 2 else 0  # noqa: PLR2004 - Redis 6 does not say
        return Claimed(entries, await self.deliveries(entries), deleted, answer[0])

    async def deliveries(self, entries: Sequence[RawEntry]) -> dict[str, int]:
        """How often each of these entries was delivered; they are of one stream, by rising id."""
        if not entries:
            return {}
        options = self.options
        answer: Any = await self._commands.xpending_range(
            entries[0].stream, options.group, entries[0].id, entries[-1].id, MAX_PENDING, options.consumer
        )
        ids = {entry.id for entry in entries}
        return {each["message_id"]: each["times_delivered"] for each in answer if each["message_id"] in ids}

    async def renew(self, entries: Iterable[RawEntry]) -> None:
        """Tell others that these deliveries are still being worked on; it does not count as a delivery."""
        for stream, ids in _by_stream(entries).items():
            await self._commands.xclaim(stream, self.options.group, self.options.consumer, 0, ids, justid=True)

    async def ack(self, entries: Iterable[RawEntry]) -> None:
        """These are stored."""
        by_stream = _by_stream(entries)
        if not by_stream:
            return
        async with self._commands.pipeline(transaction=False) as pipe:
            for stream, ids in by_stream.items():
                pipe.xack(stream, self.options.group, *ids)
            await pipe.execute()

    async def bury(self, letters: Iterable[DeadLetter]) -> None:
        """Move entries to the dead letters of their stream, and acknowledge them.

        Raises:
            RedisFull: Redis takes no more data; the entry stays pending.
        """
        for letter in letters:
            stream = letter.entry.stream
            async with self._commands.pipeline(transaction=True) as pipe:
                fields: Any = letter.fields()
                pipe.xadd(stream + DEAD_SUFFIX, fields, maxlen=MAX_DEAD_LETTERS, approximate=True)
                pipe.xack(stream, self.options.group, letter.entry.id)
                await pipe.execute()

    async def _read(self, count: int, block_ms: int | None) -> list[RawEntry]:
        streams: Any = dict.fromkeys(self.options.streams, ">")
        answer: Any = await self._blocking.xreadgroup(
            self.options.group, self.options.consumer, streams, count=count, block=block_ms
        )
        return [RawEntry(stream, id_, fields or {}) for stream, found in answer for id_, fields in found]


def _by_stream(entries: Iterable[RawEntry]) -> dict[str, list[Any]]:
    ids: dict[str, list[Any]] = defaultdict(list)
    for entry in entries:
        ids[entry.stream].append(entry.id)
    return ids
