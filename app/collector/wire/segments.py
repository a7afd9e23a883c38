"""Segments of an entry, from every generation of producers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from app.collector.facts import SegmentFact, Segments
from app.collector.wire.errors import BadValue, Unusable
from app.collector.wire.values import EPOCH_FROM_S, Problems, count, flag, name, speech, time_s, unix_ms, words

T = TypeVar("T")

MAX_KEY_CHARACTERS: Final = 300
MAX_LANGUAGE_CHARACTERS: Final = 16
_BUNDLES: Final = (("confirmed", True), ("pending", False))


@dataclass(frozen=True, slots=True)
class _Part:
    """One segment as it stands in the entry.

    Attributes:
        where: `segments[3]`.
        speaker, completed: what the entry says of all its segments, None if it says nothing.
    """

    where: str
    value: Any
    speaker: str | None = None
    completed: bool | None = None


@dataclass(frozen=True, slots=True)
class _Times:
    """Since the session's start, and as Unix ms; each pair may be missing, but not both."""

    start_ms: int | None
    end_ms: int | None
    abs_start_ms: int | None
    abs_end_ms: int | None


class _Fields:
    """Reads the fields of one segment."""

    def __init__(self, part: _Part, problems: Problems) -> None:
        if not isinstance(part.value, dict):
            raise BadValue(f"{part.where} is not an object")
        self._where = part.where
        self._values = part.value
        self._problems = problems

    def has(self, field: str) -> bool:
        return self._values.get(field) is not None

    def required(self, field: str, read: Callable[[Any], T]) -> T:
        try:
            return read(self._values.get(field))
        except BadValue as error:
            raise BadValue(f"{self._where}.{field} {error}") from None

    def optional(self, field: str, read: Callable[[Any], T]) -> T | None:
        return self._problems.optional(f"{self._where}.{field}", self._values.get(field), read)


def read_list(payload: Mapping[str, Any], problems: Problems) -> Segments:
    """Read `segments`, where each one says whether it is final.

    Raises:
        Unusable: there is no such list.
    """
    found = payload.get("segments")
    if not isinstance(found, list):
        raise Unusable("segments is missing" if found is None else "segments is not a list")
    return _read((_Part(f"segments[{n}]", each) for n, each in enumerate(found)), problems)


def read_bundle(payload: Mapping[str, Any], problems: Problems) -> Segments:
    """Read `confirmed` (finals) and `pending` (drafts) of one speaker; either may be missing.

    Raises:
        Unusable: neither is a list.
    """
    speaker = problems.optional("speaker", payload.get("speaker"), name)
    parts: list[_Part] = []
    for field, completed in _BUNDLES:
        found = payload.get(field)
        if isinstance(found, list):
            parts += [_Part(f"{field}[{n}]", each, speaker, completed) for n, each in enumerate(found)]
        elif found is not None:
            problems.note(f"{field} is not a list")
    if not any(isinstance(payload.get(field), list) for field, _ in _BUNDLES):
        raise Unusable("neither confirmed nor pending is a list")
    return _read(parts, problems)


def _read(parts: Iterable[_Part], problems: Problems) -> Segments:
    """Read the segments that can be read; the others are noted."""
    segments = []
    for part in parts:
        try:
            segments.append(_segment(part, _Fields(part, problems)))
        except BadValue as error:
            problems.note(str(error))
    return Segments(tuple(segments), replaces_drafts=any(not each.has_id for each in segments))


def _segment(part: _Part, fields: _Fields) -> SegmentFact:
    times = _times(fields)
    key = fields.required("segment_id", partial(name, limit=MAX_KEY_CHARACTERS)) if fields.has("segment_id") else None
    completed = bool(fields.optional("completed", flag)) if part.completed is None else part.completed
    return SegmentFact(
        key=key or f"t:{times.abs_start_ms if times.start_ms is None else times.start_ms}",
        has_id=key is not None,
        text=fields.required("text", speech),
        completed=completed,
        start_ms=times.start_ms,
        end_ms=times.end_ms,
        abs_start_ms=times.abs_start_ms,
        abs_end_ms=times.abs_end_ms,
        ordinal=fields.optional("seq", count),
        language=fields.optional("language", partial(name, limit=MAX_LANGUAGE_CHARACTERS)),
        speaker=fields.optional("speaker", name) or part.speaker,
        speaker_key=fields.optional("speaker_key", name),
        source=fields.optional("source", name),
        words=fields.optional("words", words),
    )


def _times(fields: _Fields) -> _Times:
    """Read the times. A segment without an end, or with an end before its start, ends when it starts."""
    abs_start_ms = fields.optional("absolute_start_time", unix_ms)
    abs_end_ms = fields.optional("absolute_end_time", unix_ms)
    if not fields.has("start") and abs_start_ms is not None:
        return _Times(None, None, abs_start_ms, max(abs_end_ms or 0, abs_start_ms))
    start_s = fields.required("start", time_s)
    end_s = fields.required("end", time_s) if fields.has("end") else start_s
    if start_s < EPOCH_FROM_S <= end_s:
        raise BadValue("a segment's start counts from the session, its end from 1970")
    start_ms, end_ms = round(start_s * 1000), round(max(start_s, end_s) * 1000)
    is_unix = start_s >= EPOCH_FROM_S
    if is_unix and abs_start_ms is None:
        abs_start_ms = start_ms
    if abs_start_ms is not None:
        abs_end_ms = max(abs_end_ms or abs_start_ms + end_ms - start_ms, abs_start_ms)
    return _Times(
        start_ms=None if is_unix else start_ms,
        end_ms=None if is_unix else end_ms,
        abs_start_ms=abs_start_ms,
        abs_end_ms=None if abs_start_ms is None else abs_end_ms,
    )
