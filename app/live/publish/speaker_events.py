"""Who speaks, as Vexa's bots report it, as an entry of the speaker stream. Pure.

A bot sees in the meeting's window who speaks and sends `speaker_activity`. Redis gets it as flat text fields,
without the token. The event belongs to the connection that it came on, whatever uid it names, so no client can
write names into another one's session. A bot may send anything: an event that no reader can use is refused.
Source: Vexa v0.9 services/WhisperLive, publish_speaker_event.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from app.contracts.collector import SPEAKER_END, SPEAKER_START, iso_z
from app.live.publish.payloads import (
    MAX_MEETING_ID_CHARS,
    MAX_MEETING_NUMBER,
    MAX_PLATFORM_CHARS,
    Identity,
    StreamEntry,
)

MAX_NAME_CHARS = 255
MAX_ID_CHARS = 512
MAX_URL_CHARS = 2048
MAX_OFFSET_MS = 30 * 24 * 3600 * 1000  # no session lasts a month
MAX_NUMBER_CHARS = 32
MAX_EVENT_CHARS = 64


class UnusableEvent(ValueError):
    """The event lacks what readers need; the message names the field, never its value."""


def speaker_entry(payload: Mapping[str, Any], identity: Identity, *, received_ms: int, stream: str) -> StreamEntry:
    """An event as an entry of the speaker stream.

    Raises:
        UnusableEvent: a required field is missing, or one is too long or of another type.
    """
    event_type = payload.get("event_type")
    if event_type not in (SPEAKER_START, SPEAKER_END):
        raise UnusableEvent("event_type")
    name = _text(payload, "participant_name", MAX_NAME_CHARS)
    if not name:
        raise UnusableEvent("participant_name")
    meeting_id = payload.get("meeting_id") if identity.meeting_id is None else identity.meeting_id
    optional = {
        "participant_id_meet": _text(payload, "participant_id_meet", MAX_ID_CHARS),
        "platform": identity.platform or _text(payload, "platform", MAX_PLATFORM_CHARS),
        "meeting_id": _meeting_id(meeting_id),
        "meeting_url": _text(payload, "meeting_url", MAX_URL_CHARS),
    }
    fields = {
        "event_type": str(event_type),
        "participant_name": name,
        "relative_client_timestamp_ms": str(_offset_ms(payload.get("relative_client_timestamp_ms"))),
        "uid": identity.uid,
        "connection_id": identity.connection_id,
        **{key: value for key, value in optional.items() if value},
        "server_received_timestamp_iso": iso_z(received_ms),
    }
    return StreamEntry("speaker_event", identity.connection_id, stream, fields)


def control_event(payload: Mapping[str, Any]) -> str:
    """The event of a `session_control` message, such as LEAVING_MEETING.

    Raises:
        UnusableEvent: it has none.
    """
    event = _text(payload, "event", MAX_EVENT_CHARS)
    if not event:
        raise UnusableEvent("event")
    return event


def _text(payload: Mapping[str, Any], field: str, longest: int) -> str | None:
    """A text field; None if it is absent or null."""
    value = payload.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest or not _is_text(value):
        raise UnusableEvent(field)
    return value


def _is_text(value: str) -> bool:
    """Can UTF-8 hold it? JSON may contain half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _meeting_id(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_MEETING_NUMBER:
        return str(value)
    return _text({"meeting_id": value}, "meeting_id", MAX_MEETING_ID_CHARS)


def _offset_ms(value: Any) -> int:
    """Milliseconds since the session's first sample; a number, or a number as text."""
    if isinstance(value, str) and len(value) <= MAX_NUMBER_CHARS:
        try:
            value = float(value)
        except ValueError:
            raise UnusableEvent("relative_client_timestamp_ms") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnusableEvent("relative_client_timestamp_ms")
    if not (-MAX_OFFSET_MS <= value <= MAX_OFFSET_MS) or math.isnan(value):
        raise UnusableEvent("relative_client_timestamp_ms")
    return round(value)
