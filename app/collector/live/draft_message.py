"""Drafts as producers publish them, read into segments of live frames. Pure.

Our gateway publishes the drafts of each connection on a channel of its own. Vexa's bots publish `transcript` frames
on the meeting's channel, without `seq`: their drafts are shown, and their finals are shown as drafts until the store
has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.collector.render.bodies import iso
from app.collector.wire.errors import BadValue
from app.collector.wire.values import count, name, speech, time_s
from app.core.json_guard import load_json

Segment = dict[str, Any]

MAX_CHARACTERS: Final = 1 << 20
MAX_STRUCTURE: Final = 20_000
MAX_SEGMENTS: Final = 100
_EPOCH_FROM_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class Drafts:
    """All drafts of one connection.

    Attributes:
        after: how many finals the connection had published before.
    """

    connection_id: str
    after: int
    segments: tuple[Segment, ...]


def read_object(payload: str) -> dict[str, Any] | None:
    """Parse a message of a channel; None if it is too large or not a JSON object."""
    if len(payload) > MAX_CHARACTERS:
        return None
    try:
        value = load_json(payload, max_structure=MAX_STRUCTURE)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_drafts(payload: str, *, connection_id: str, session_uid: str | None, start_ms: int) -> Drafts | None:
    """Read a message of a connection's channel; None if it is none.

    Args:
        payload: the message.
        connection_id: of the channel.
        session_uid: of the session, for its readers.
        start_ms: the session's second 0 in Unix ms.
    """
    message = read_object(payload)
    if message is None or message.get("type") != "draft" or not isinstance(message.get("segments"), list):
        return None
    try:
        after = count(message.get("after", 0))
    except BadValue:
        return None
    segments = []
    for n, each in enumerate(message["segments"][:MAX_SEGMENTS]):
        segment = _segment(each, start_ms=start_ms)
        if segment is not None:
            segments.append({**segment, "segment_id": f"{connection_id}:draft:{n}", "session_uid": session_uid})
    return Drafts(connection_id, after, tuple(segments))


def read_bundle(frame: Mapping[str, Any]) -> tuple[str | None, tuple[Segment, ...]] | None:
    """Read the speaker and the segments of a frame that Vexa's bots publish; None if it is none."""
    if frame.get("type") != "transcript":
        return None
    try:
        speaker = None if frame.get("speaker") is None else name(frame["speaker"])
    except BadValue:
        return None
    return speaker, tuple(_bundled(frame, speaker))


def _bundled(frame: Mapping[str, Any], speaker: str | None) -> Iterator[Segment]:
    for part in ("confirmed", "pending"):
        segments = frame.get(part)
        for each in segments[:MAX_SEGMENTS] if isinstance(segments, list) else ():
            segment = _segment(each, start_ms=None)
            if segment is not None and isinstance(each.get("segment_id"), str):
                yield {**segment, "segment_id": each["segment_id"], "speaker": speaker}


def _segment(value: Any, *, start_ms: int | None) -> Segment | None:
    """A draft with all fields that a segment of the read API has; None if it cannot be shown."""
    if not isinstance(value, dict):
        return None
    try:
        start, end = time_s(value.get("start")), time_s(value.get("end"))
        text = speech(value.get("text"))
        language = None if value.get("language") is None else name(value["language"], 16)
        absolute = _absolute(value, start, end, start_ms)
    except BadValue:
        return None
    return {
        "start": start,
        "end": end,
        "start_time": start,
        "end_time": end,
        "text": text,
        "language": language,
        "speaker": None,
        "completed": False,
        "absolute_start_time": absolute[0],
        "absolute_end_time": absolute[1],
        "session_uid": None,
        "speaker_mapping_status": None,
    }


def _absolute(
    value: Mapping[str, Any], start: float, end: float, start_ms: int | None
) -> tuple[str | None, str | None]:
    if start >= _EPOCH_FROM_S:
        return iso(round(start * 1000)), iso(round(end * 1000))
    if start_ms is not None:
        return iso(start_ms + round(start * 1000)), iso(start_ms + round(end * 1000))
    given = [value.get("absolute_start_time"), value.get("absolute_end_time")]
    first, last = (None if each is None else name(each, 40) for each in given)
    return first, last
