"""Entries in a form of the tests' own, so that the process is tested without the wire formats."""

from __future__ import annotations

import json
from typing import Any

from app.collector.facts import Entry, Revision, Room, SegmentFact, Segments
from app.collector.redis_io.connection import Client
from app.collector.redis_io.entries import RawEntry
from app.collector.rows import Change
from app.contracts.collector import SEGMENTS_STREAM


def payload(key: str, text: str, **fields: Any) -> str:
    """A segment; `problem` makes a part of the entry unusable, `draft` makes it a draft."""
    return json.dumps({"key": key, "text": text, "platform": "google_meet", "meeting_id": 42} | fields)


def decode(raw: RawEntry) -> Entry:
    """Read such an entry.

    Raises:
        ValueError: it is none.
    """
    body = json.loads(raw.fields["payload"])
    if body == []:
        raise ValueError("payload is not an object")
    fact = SegmentFact(body["key"], has_id=True, text=body["text"], completed="draft" not in body, start_ms=0, end_ms=1)
    return Entry(
        stream=raw.stream,
        revision=Revision.parse(raw.id),
        room=Room(platform="google_meet", native_id="abc", meeting_id=42),
        session_key="c1",
        session_uid=None,
        connection_id="c1",
        facts=(Segments((fact,)),),
        problems=(body["problem"],) if "problem" in body else (),
    )


def frames(change: Change) -> list[dict[str, Any]]:
    """One frame with the texts."""
    return [{"seq": change.meeting.seq, "texts": [row.text for row in change.segments]}]


async def add(redis: Client, *payloads: str | bytes) -> list[str]:
    """Add entries to the segments stream; return their ids."""
    return [str(await redis.xadd(SEGMENTS_STREAM, {"payload": each})) for each in payloads]


async def pending(redis: Client, group: str = "g") -> int:
    """How many entries are not acknowledged."""
    answer: Any = await redis.xpending(SEGMENTS_STREAM, group)
    return int(answer["pending"])


async def dead(redis: Client) -> list[dict[str, str]]:
    """The dead letters."""
    answer: Any = await redis.xrange(f"{SEGMENTS_STREAM}:dead")
    return [fields for _, fields in answer]
