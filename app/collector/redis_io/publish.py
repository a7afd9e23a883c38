"""Tell live readers what was committed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.collector.redis_io.connection import Client, RedisFailure
from app.collector.rows import Applied, Change
from app.contracts.collector import meeting_channel

log = logging.getLogger(__name__)


class Publisher:
    """Sends the frames of committed changes to the channels of their meetings."""

    def __init__(self, redis: Client, frames: Callable[[Change], Sequence[Mapping[str, Any]]]) -> None:
        """Connect at the first use.

        Args:
            redis: for single commands.
            frames: makes the live frames of a change.
        """
        self._redis = redis
        self._frames = frames

    async def publish(self, result: Applied) -> None:
        """Publish all changes of one transaction. Never raises: readers notice a lost frame by its seq."""
        if not result.changes:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for change in result.changes:
                    for frame in self._frames(change):
                        pipe.publish(meeting_channel(change.meeting.id), json.dumps(frame, ensure_ascii=False))
                await pipe.execute()
        except RedisFailure as error:
            log.warning("live frames were not published", extra={"fields": {"error": type(error).__name__}})
