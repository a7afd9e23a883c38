"""What Redis tells of streams and their groups, and which entries are still needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from app.collector.facts import Revision
from app.collector.redis_io.connection import Client, RedisRefused

# A read that was blocked when its stream was deleted ends with the second one.
_MISSING: Final = ("NOGROUP", "UNBLOCKED")


@dataclass(frozen=True, slots=True)
class GroupState:
    """How far one group has read.

    Attributes:
        last: the last entry that was delivered.
        oldest_pending: the oldest one that was delivered and not acknowledged.
        lag: entries that were not delivered; None if Redis cannot tell.
    """

    name: str
    last: Revision
    oldest_pending: Revision | None
    pending: int
    lag: int | None

    @property
    def needed_from(self) -> Revision:
        """Entries below this one were acknowledged."""
        return self.oldest_pending or Revision(self.last.ms, self.last.n + 1)


async def create_groups(redis: Client, streams: Iterable[str], group: str) -> None:
    """Create the group, and the stream, where they are missing; the group begins with the oldest entry."""
    for stream in streams:
        try:
            await redis.xgroup_create(stream, group, id="0", mkstream=True)
        except RedisRefused as error:
            if "BUSYGROUP" not in str(error):
                raise


def is_missing_group(error: BaseException) -> bool:
    """Is the group gone, because Redis lost its data or somebody deleted the stream?"""
    return str(error).startswith(_MISSING)


async def group_states(redis: Client, stream: str) -> tuple[GroupState, ...]:
    """Every group of a stream; empty if the stream does not exist."""
    try:
        groups: Any = await redis.xinfo_groups(stream)
        found = []
        for each in groups:
            pending: Any = await redis.xpending(stream, each["name"])
            oldest = Revision.parse(pending["min"]) if pending["pending"] else None
            last = Revision.parse(each["last-delivered-id"])
            found.append(GroupState(each["name"], last, oldest, pending["pending"], each.get("lag")))
    except RedisRefused as error:
        if "no such key" in str(error) or is_missing_group(error):
            return ()
        raise
    return tuple(found)


async def oldest_unstored(redis: Client, stream: str, group: str) -> Revision | None:
    """The oldest entry that the group has not acknowledged; None if there is none."""
    state = next((each for each in await group_states(redis, stream) if each.name == group), None)
    return await oldest_waiting(redis, stream, state)


async def oldest_waiting(redis: Client, stream: str, state: GroupState | None) -> Revision | None:
    """The oldest entry that a group in this state has not acknowledged; None if there is none."""
    if state is not None and state.oldest_pending is not None:
        return state.oldest_pending
    after = f"({state.last}" if state is not None else "-"
    waiting: Any = await redis.xrange(stream, after, "+", count=1)
    return Revision.parse(waiting[0][0]) if waiting else None


async def server_ms(redis: Client) -> int:
    """The time of Redis' clock, which is also that of the entries' ids: Unix ms."""
    answer: Any = await redis.time()
    return int(answer[0]) * 1000 + int(answer[1]) // 1000


async def stream_time_ms(redis: Client, streams: Iterable[str], group: str) -> int:
    """The time up to which everything was stored: now, or the oldest entry that was not."""
    now_ms = await server_ms(redis)
    waiting = [await oldest_unstored(redis, stream, group) for stream in streams]
    return min([now_ms, *(each.ms for each in waiting if each is not None)])
