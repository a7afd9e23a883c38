"""What may be wrong with a Redis or a group, for the log at start."""

from __future__ import annotations

import re
from typing import Any, Final

from app.collector.redis_io.connection import Client, RedisRefused

OWN_NAME: Final = re.compile(r".+-\d+-[0-9a-f]{4}")  # <host>-<pid>-<4 hex>


async def warnings(redis: Client, streams: tuple[str, ...], group: str) -> list[str]:
    """Settings with which text may be lost, and consumers that are none of ours and take a part of the entries."""
    found = []
    try:
        persistence: Any = await redis.info("persistence")
        memory: Any = await redis.info("memory")
    except RedisRefused:  # a hosted Redis may not allow it
        persistence, memory = {}, {}
    if persistence.get("aof_enabled", 1) != 1:
        found.append("Redis runs without appendonly: a restart loses what is not stored yet; set `appendonly yes`")
    if memory.get("maxmemory_policy", "noeviction") != "noeviction":
        found.append("Redis may evict the streams when its memory is full; set `maxmemory-policy noeviction`")
    for stream in streams:
        consumers: Any = await redis.xinfo_consumers(stream, group)
        foreign = [each["name"] for each in consumers if not OWN_NAME.fullmatch(each["name"])]
        if foreign:
            found.append(
                f"group {group} of {stream} has consumers of another program ({len(foreign)}): each gets a part of "
                "the entries; choose another REDIS_CONSUMER_GROUP"
            )
    return found
