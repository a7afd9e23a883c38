"""Entries of the segments stream, from every generation of producers. Pure.

An entry is one JSON object. Its `type` says what it tells: session_start, transcription (also without a type),
transcript (a bundle of one speaker's finals and drafts), transcript_retract or session_end.
Source: Vexa v0.3 to v0.12, and our live gateway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.collector.facts import Entry, Fact, Retract, Revision, Segments, SessionEnd, SessionStart
from app.collector.wire.errors import BadValue, Unusable
from app.collector.wire.room import read_origin
from app.collector.wire.segments import MAX_KEY_CHARACTERS, read_bundle, read_list
from app.collector.wire.values import Problems, count, name, unix_ms
from app.core.json_guard import load_json

MAX_PAYLOAD_CHARACTERS: Final = 16 * 1024 * 1024
_WORD: Final = re.compile(r"[a-z_.]{1,40}")


def read_segments_entry(stream: str, entry_id: str, payload: str, *, secret: str) -> Entry:
    """Read one entry.

    Args:
        stream: the Redis key it was read from.
        entry_id: `1700000000000-0`.
        payload: the text of its `payload` field.
        secret: checks the tokens of producers; empty: producers are trusted.

    Raises:
        Unusable: nothing of it can be used.
    """
    revision = read_revision(entry_id)
    fields = _parse(payload)
    problems = Problems()
    read = _READERS[_kind(fields)]
    origin = read_origin(fields, secret=secret, problems=problems)
    fact = read(fields, problems)
    if isinstance(fact, Segments) and not fact.segments and problems.reasons():
        raise Unusable("; ".join(problems.reasons()))
    return Entry(
        stream=stream,
        revision=revision,
        room=origin.room,
        session_key=origin.session_key,
        session_uid=origin.session_uid,
        connection_id=origin.connection_id,
        facts=(fact,),
        problems=problems.reasons(),
    )


def read_revision(entry_id: str) -> Revision:
    """Read the id of an entry.

    Raises:
        Unusable: it is none.
    """
    try:
        return Revision.parse(entry_id)
    except ValueError:
        raise Unusable("the entry's id is not one of a Redis stream") from None


def _parse(payload: str) -> dict[str, Any]:
    if len(payload) > MAX_PAYLOAD_CHARACTERS:
        raise Unusable(f"payload has {len(payload)} characters; the limit is {MAX_PAYLOAD_CHARACTERS}")
    try:
        fields = load_json(payload)
    except ValueError as error:
        raise Unusable(f"payload is not usable JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Unusable("payload is not a JSON object")
    return fields


def _kind(fields: Mapping[str, Any]) -> str:
    kind = fields.get("type")
    if kind is None:
        is_bundle = "segments" not in fields and ("confirmed" in fields or "pending" in fields)
        return "transcript" if is_bundle else "transcription"
    if not isinstance(kind, str) or kind not in _READERS:
        named = f" {kind}" if isinstance(kind, str) and _WORD.fullmatch(kind) else ""
        raise Unusable(f"unknown type{named}; known are {', '.join(_READERS)}")
    return kind


def _session_start(fields: Mapping[str, Any], _: Problems) -> SessionStart:
    field = "start_timestamp" if fields.get("start_timestamp") is not None else "start_time"
    try:
        return SessionStart(unix_ms(fields.get(field)))
    except BadValue as error:
        raise Unusable(f"{field} {error}") from None


def _session_end(fields: Mapping[str, Any], problems: Problems) -> SessionEnd:
    return SessionEnd(
        end_ms=problems.optional("end_timestamp", fields.get("end_timestamp"), unix_ms),
        final_count=problems.optional("final_count", fields.get("final_count"), count),
    )


def _retract(fields: Mapping[str, Any], problems: Problems) -> Retract:
    found = fields.get("segment_ids")
    if not isinstance(found, list):
        raise Unusable("segment_ids is missing" if found is None else "segment_ids is not a list")
    read = (
        problems.optional(f"segment_ids[{n}]", each, lambda value: name(value, MAX_KEY_CHARACTERS))
        for n, each in enumerate(found)
    )
    segment_ids = tuple(each for each in read if each)
    if not segment_ids:
        raise Unusable("segment_ids names no segment")
    return Retract(segment_ids)


_READERS: Final[dict[str, Callable[[Mapping[str, Any], Problems], Fact]]] = {
    "session_start": _session_start,
    "transcription": read_list,
    "transcript": read_bundle,
    "transcript_retract": _retract,
    "session_end": _session_end,
}
