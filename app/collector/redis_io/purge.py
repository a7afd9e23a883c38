"""Remove the copies of deleted meetings from Redis: stream entries, drafts and dead letters.

Entries that were stored are deleted by id. Repetitions, drafts and entries that nobody has read yet cannot be found by
id, so the streams are cut right below what some group still needs, again and again until everything went that was in
them when the meeting was deleted. The tombstones in the database refuse what is delivered meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

from app.collector.errors import DatabaseAway
from app.collector.facts import Revision
from app.collector.redis_io.connection import Client, RedisFailure, RedisRefused
from app.collector.redis_io.trim import trim_all
from app.collector.rows import Deletion
from app.collector.storage import Storage
from app.contracts.collector import DEAD_SUFFIX, draft_key
from app.core.json_guard import load_json

log = logging.getLogger(__name__)

CHUNK: Final = 500
_NAMES_MEETING: Final = ("meeting_id", "native_meeting_id")
_NAMES_SESSION: Final = ("connection_id", "session_uid", "uid")


class Purger:
    """Purges now if it can, else in the background: `sweep` is called every few seconds."""

    def __init__(self, redis: Client, store: Storage, streams: Sequence[str]) -> None:
        self._redis = redis
        self._store = store
        self._streams = tuple(streams)
        self._waiting: list[Deletion] = []
        self._cut_to: dict[str, Revision] = {}
        self._sweeping = asyncio.Lock()  # a request and the background job may sweep at once

    async def purge(self, deletion: Deletion) -> None:
        """Remove a deleted meeting's copies. Never raises: what cannot be done now is done by `sweep`."""
        self._waiting.append(deletion)
        try:
            await self.sweep()
        except (*RedisFailure, DatabaseAway) as error:
            fields = {"meeting": deletion.meeting.id, "error": type(error).__name__}
            log.warning("a deleted meeting is purged later", extra={"fields": fields})

    async def cut(self) -> None:
        """Remove what the streams hold now, as soon as every group has acknowledged it."""
        for stream in self._streams:
            last = await _last(self._redis, stream)
            if last is not None:
                self._cut_to[stream] = max(last, self._cut_to.get(stream, last))

    async def sweep(self) -> None:
        """Do what is left to do.

        Raises:
            RedisFailure: Redis is away; the rest stays to be done.
            DatabaseAway: likewise.
        """
        async with self._sweeping:
            for deletion in tuple(self._waiting):
                await self.cut()
                await self._delete(deletion)
                await self._store.checkpoint()
                self._waiting.remove(deletion)
            for stream, last in tuple(self._cut_to.items()):
                needed = await trim_all(self._redis, stream)
                is_newest = self._cut_to[stream] == last  # `cut` may have moved it meanwhile
                if is_newest and (needed is None or needed > last):
                    del self._cut_to[stream]

    async def _delete(self, deletion: Deletion) -> None:
        for stream, ids in deletion.entry_ids.items():
            for chunk in _chunks(ids):
                await self._redis.xdel(stream, *chunk)
        for chunk in _chunks([draft_key(key) for key in deletion.session_keys]):
            await self._redis.delete(*chunk)
        for stream in self._streams:
            await self._delete_dead(stream + DEAD_SUFFIX, deletion)

    async def _delete_dead(self, stream: str, deletion: Deletion) -> None:
        entry_ids = {id_ for ids in deletion.entry_ids.values() for id_ in ids}
        after = "-"
        while found := await self._range(stream, after):
            gone = [
                id_ for id_, fields in found if fields.get("id") in entry_ids or belongs(fields["payload"], deletion)
            ]
            if gone:
                await self._redis.xdel(stream, *gone)
            after = f"({found[-1][0]}"

    async def _range(self, stream: str, after: str) -> list[tuple[str, dict[str, str]]]:
        answer: Any = await self._redis.xrange(stream, after, "+", count=CHUNK)
        return [(id_, fields) for id_, fields in answer]


def belongs(payload: str, deletion: Deletion) -> bool:
    """Does a payload that could not be used name the deleted meeting or one of its sessions?

    If it is not even JSON, a quoted name of the meeting or of a session decides.
    """
    meeting = deletion.meeting
    sessions = set(deletion.session_keys) - {"-"}
    try:
        body = load_json(payload)
    except ValueError:
        names = {*sessions, *([meeting.native_id] if meeting.native_id else ())}
        return any(json.dumps(name) in payload for name in names)
    if not isinstance(body, dict):
        return False
    if any(isinstance(body.get(name), str) and body[name] in sessions for name in _NAMES_SESSION):
        return True
    named = {str(body[name]) for name in _NAMES_MEETING if isinstance(body.get(name), str | int)}
    if str(meeting.id) in named:
        return True
    return meeting.native_id in named and body.get("platform") in {None, meeting.platform}


async def _last(redis: Client, stream: str) -> Revision | None:
    """The last entry that was ever added to a stream; None if there is no such stream."""
    try:
        answer: Any = await redis.xinfo_stream(stream)
    except RedisRefused as error:
        if "no such key" in str(error):
            return None
        raise
    return Revision.parse(answer["last-generated-id"])


def _chunks(values: Iterable[str]) -> list[list[Any]]:
    listed = list(values)
    return [listed[first : first + CHUNK] for first in range(0, len(listed), CHUNK)]
