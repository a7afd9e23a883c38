"""What the gateway writes to Redis, as values: entries of the streams and frames for live readers. Pure.

An entry of the transcript stream has one field, a JSON object; one of the speaker stream has flat text
fields (app/live/publish/speaker_events.py). Old readers of this format take a time for UTC only with a trailing
Z, and drop a segment shorter than 1 ms. `uid`, `token`, `platform` and `meeting_id` are passed on as the handshake
had them, because readers look meetings up by them; absent ones are left out. Only finals are written to the
stream: `seq` counts them from 0, and with `final_count` of the end a reader knows whether it has them all.
Source: Vexa v0.3 to v0.12; `connection_id`, `session_uid`, `seq` and the fields of the end are ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.contracts.collector import PAYLOAD_FIELD, draft_channel, draft_key, iso_z
from app.contracts.whisperlive import Handshake

Kind = Literal["session_start", "transcription", "session_end", "speaker_event"]

MAX_TOKEN_CHARS = 4096  # every entry repeats these fields, so a hostile handshake must not make them long
MAX_PLATFORM_CHARS = 100
MAX_MEETING_ID_CHARS = 255
MAX_MEETING_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One entry for a Redis stream.

    Attributes:
        connection_id: the session that it belongs to.
        fields: names and values as Redis gets them.
    """

    kind: Kind
    connection_id: str
    stream: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A message for those who read along now; `key` keeps the newest one for a minute for those who come later."""

    channel: str
    message: str
    key: str | None = None
    value: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose text it is: what every entry of a session repeats.

    Attributes:
        connection_id: of this gateway, unique, unlike the client's `uid`.
        gateway: the name of this gateway.
        token, platform, meeting_id: as the handshake had them; None if it had none.
    """

    connection_id: str
    uid: str
    gateway: str
    token: str | None = None
    platform: str | None = None
    meeting_id: str | int | None = None

    @classmethod
    def of(cls, handshake: Handshake, *, connection_id: str, gateway: str) -> Identity:
        """From a handshake; fields that are too long for any reader are left out."""
        return cls(
            connection_id=connection_id,
            uid=handshake.uid,
            gateway=gateway,
            token=_short(handshake.token, MAX_TOKEN_CHARS),
            platform=_short(handshake.platform, MAX_PLATFORM_CHARS),
            meeting_id=_meeting_id(handshake.meeting_id),
        )

    def fields(self) -> dict[str, Any]:
        """The fields of every entry, in the order that readers of logs expect."""
        named = {"token": self.token, "platform": self.platform, "meeting_id": self.meeting_id}
        present = {name: value for name, value in named.items() if value is not None}
        return {**present, "uid": self.uid, "session_uid": self.uid, "connection_id": self.connection_id}


@dataclass(frozen=True, slots=True)
class Final:
    """One final segment.

    Attributes:
        seq: counts the finals of a session from 0.
        start_ms, end_ms: since the session's first sample.
        said_from_ms, said_to_ms: Unix time.
    """

    seq: int
    start_ms: int
    end_ms: int
    said_from_ms: int
    said_to_ms: int
    text: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """Text that may still change, in milliseconds since the session's first sample."""

    start_ms: int
    end_ms: int
    text: str
    language: str | None


def session_start(identity: Identity, *, start_ms: int) -> dict[str, Any]:
    """The session's second 0: the Unix time of its first sample, under both names that readers know."""
    start = iso_z(start_ms)
    return {
        "type": "session_start",
        **identity.fields(),
        "start_timestamp": start,
        "start_time": start,
        "gateway": identity.gateway,
    }


def transcription(identity: Identity, finals: Sequence[Final], *, unix_times: bool = False) -> dict[str, Any]:
    """Final segments; `unix_times` writes `start` and `end` as Unix seconds instead of seconds of the session."""
    segments = [final_segment(identity, final, unix_times=unix_times) for final in finals]
    return {"type": "transcription", **identity.fields(), "segments": segments}


def final_segment(identity: Identity, final: Final, *, unix_times: bool) -> dict[str, Any]:
    """One final segment as readers expect it; the speaker is not known here."""
    start_ms, end_ms = (
        (final.said_from_ms, final.said_to_ms) if unix_times else (final.start_ms, final.end_ms)
    )  # fmt: skip
    return {
        "segment_id": f"{identity.connection_id}:{final.seq}",
        "seq": final.seq,
        "start": start_ms / 1000,
        "end": end_ms / 1000,
        "text": final.text,
        **_language(final.language),
        "completed": True,
        "speaker": None,
        "absolute_start_time": iso_z(final.said_from_ms),
        "absolute_end_time": iso_z(final.said_to_ms),
    }


def session_end(
    identity: Identity,
    *,
    end_ms: int,
    final_count: int,
    audio_s: float,
    unheard_s: float,
    ending: str,
    event: str | None,
) -> dict[str, Any]:
    """The end of a session.

    Args:
        identity: of the session.
        end_ms: Unix time.
        final_count: the number of finals; `seq` of the last one plus 1.
        audio_s: seconds of audio received.
        unheard_s: seconds of it that were not transcribed.
        ending: why it ended.
        event: the last event that the client reported about its meeting, such as LEAVING_MEETING.
    """
    return {
        "type": "session_end",
        **identity.fields(),
        "end_timestamp": iso_z(end_ms),
        "final_count": final_count,
        "audio_s": round(audio_s, 3),
        "unheard_s": round(unheard_s, 3),
        "ending": ending,
        **({} if event is None else {"event": event}),
    }


def draft_frame(connection_id: str, drafts: Sequence[Draft], *, after: int) -> LiveFrame:
    """All that is being said now; `after` finals were published before it."""
    segments = [
        {"start": draft.start_ms / 1000, "end": draft.end_ms / 1000, "text": draft.text, **_language(draft.language)}
        for draft in drafts
    ]
    message = to_json({"type": "draft", "connection_id": connection_id, "after": after, "segments": segments})
    return LiveFrame(draft_channel(connection_id), message, draft_key(connection_id), message)


def stream_entry(payload: Mapping[str, Any], *, stream: str) -> StreamEntry:
    """An entry of the transcript stream."""
    return StreamEntry(payload["type"], payload["connection_id"], stream, {PAYLOAD_FIELD: to_json(payload)})


def to_json(value: Any) -> str:
    """Compact JSON; half of a surrogate pair, which UTF-8 cannot hold, becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8")


def _language(code: str | None) -> dict[str, str]:
    return {} if code is None else {"language": code}


def _short(value: str | None, longest: int) -> str | None:
    return None if value is None or len(value) > longest else value


def _meeting_id(value: str | int | None) -> str | int | None:
    if isinstance(value, int):
        return value if abs(value) <= MAX_MEETING_NUMBER else None
    return _short(value, MAX_MEETING_ID_CHARS)
