"""Delete entries that nobody needs any more, and consumers that are gone."""

from __future__ import annotations

from typing import Any, Final

from app.collector.facts import Revision
from app.collector.redis_io.connection import Client
from app.collector.redis_io.groups import group_states, server_ms

CONSUMER_GONE_MS: Final = 30 * 60 * 1000
# In one step, so that no delivery can come between the question and the deletion.
_REMOVE_IDLE: Final = """
local removed = 0
for _, raw in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #raw, 2 do consumer[raw[i]] = raw[i + 1] end
  local wanted = ARGV[3] == '' or consumer['name'] == ARGV[3]
  if wanted and consumer['pending'] == 0 and consumer['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
    removed = removed + 1
  end
end
return removed
"""


async def needed_from(redis: Client, stream: str) -> Revision | None:
    """The oldest entry that some group still needs; None if the stream has no group."""
    return min((state.needed_from for state in await group_states(redis, stream)), default=None)


async def trim(redis: Client, stream: str, *, keep_s: float) -> int:
    """Delete what every group has acknowledged and that is older than `keep_s`; return how many entries went.

    Redis deletes whole blocks of entries only, which costs it next to nothing, so some old ones may stay.
    """
    needed = await needed_from(redis, stream)
    if needed is None:
        return 0
    keep = Revision(await server_ms(redis) - round(keep_s * 1000), 0)
    return await _cut(redis, stream, min(needed, keep), exact=False)


async def trim_all(redis: Client, stream: str) -> Revision | None:
    """Delete everything that every group has acknowledged; return the oldest entry that is still needed, if any."""
    needed = await needed_from(redis, stream)
    if needed is not None:
        await _cut(redis, stream, needed, exact=True)
    return needed


async def remove_idle_consumers(redis: Client, stream: str, group: str, *, idle_ms: int = CONSUMER_GONE_MS) -> int:
    """Remove consumers without deliveries that did not ask for any for so long; return how many."""
    return await _remove(redis, stream, group, idle_ms, "")


async def leave(redis: Client, stream: str, group: str, consumer: str) -> None:
    """Remove a consumer that stops, unless it has deliveries that somebody must take over."""
    await _remove(redis, stream, group, 0, consumer)


async def _remove(redis: Client, stream: str, group: str, idle_ms: int, consumer: str) -> int:
    removed: Any = await redis.eval(_REMOVE_IDLE, 1, stream, group, str(idle_ms), consumer)
    return int(removed)


async def _cut(redis: Client, stream: str, first_kept: Revision, *, exact: bool) -> int:
    return int(await redis.xtrim(stream, minid=str(first_kept), approximate=not exact))
