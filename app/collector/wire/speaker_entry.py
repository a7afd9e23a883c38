"""Entries of the speaker events stream: flat fields, all of them strings. Pure.

Source: Vexa v0.3 to v0.10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeVar

from app.collector.facts import NO_SESSION, Entry, SpeakerEvent
from app.collector.wire.errors import BadValue, Unusable
from app.collector.wire.room import read_origin
from app.collector.wire.segments_entry import read_revision
from app.collector.wire.values import MAX_RELATIVE_S, Problems, name, number
from app.contracts.collector import SPEAKER_END, SPEAKER_START

T = TypeVar("T")

_KINDS: Final[dict[str, Literal["SPEAKER_START", "SPEAKER_END"]]] = {
    SPEAKER_START: "SPEAKER_START",
    SPEAKER_END: "SPEAKER_END",
}


def read_speaker_entry(stream: str, entry_id: str, fields: Mapping[str, str]) -> Entry:
    """Read one entry.

    Args:
        stream: the Redis key it was read from.
        entry_id: `1700000000000-0`.
        fields: of the entry; a token among them is not used.

    Raises:
        Unusable: its session, kind, time or name is missing or cannot be used.
    """
    revision = read_revision(entry_id)
    problems = Problems()
    without_token = {field: value for field, value in fields.items() if field != "token"}
    origin = read_origin(without_token, secret="", problems=problems)
    if origin.session_key == NO_SESSION:
        raise Unusable("uid is missing")
    event = SpeakerEvent(
        t_ms=_required(fields, "relative_client_timestamp_ms", _time_ms),
        kind=_required(fields, "event_type", _kind),
        name=_required(fields, "participant_name", _name),
        participant_id=problems.optional("participant_id_meet", fields.get("participant_id_meet"), name),
    )
    return Entry(
        stream=stream,
        revision=revision,
        room=origin.room,
        session_key=origin.session_key,
        session_uid=origin.session_uid,
        connection_id=origin.connection_id,
        facts=(event,),
        problems=problems.reasons(),
    )


def _required(fields: Mapping[str, str], field: str, read: Callable[[str | None], T]) -> T:
    try:
        return read(fields.get(field))
    except BadValue as error:
        raise Unusable(f"{field} {error}") from None


def _time_ms(value: str | None) -> int:
    """Return milliseconds since the first audio; who spoke before it, spoke from the start."""
    t_ms = number(value)
    if abs(t_ms) > MAX_RELATIVE_S * 1000:
        raise BadValue(f"is not within {MAX_RELATIVE_S:.0f} s of the session's start")
    return max(round(t_ms), 0)


def _kind(value: str | None) -> Literal["SPEAKER_START", "SPEAKER_END"]:
    if value not in _KINDS:
        raise BadValue(f"is neither {SPEAKER_START} nor {SPEAKER_END}")
    return _KINDS[value]


def _name(value: str | None) -> str:
    read = name(value)
    if read is None:
        raise BadValue("is empty")
    return read
