"""Would Vexa's own collectors take an entry? One predicate per generation, which returns the reasons against it.

Source: what the collectors of Vexa v0.3 (G1a), v0.9 (G1b), v0.10 (G2) and v0.12 (G3) demand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import jwt

KNOWN_TYPES = {"session_start", "transcription", "session_end"}


def g1a_objections(payload: Mapping[str, Any], *, api_tokens: Collection[str]) -> list[str]:
    """WhisperLive to v0.6: an API key, and the platform's own id of the meeting."""
    objections = _type(payload) + _missing(payload, ["token", "platform", "meeting_id", "uid"])
    if payload.get("token") not in api_tokens:
        objections.append("token is no API key")
    return objections + _sessions(payload) + _segments(payload, _times)


def g1b_objections(payload: Mapping[str, Any], *, secret: str, now: datetime) -> list[str]:
    """WhisperLive to v0.9: a MeetingToken of the bot manager, and a uid."""
    objections = _type(payload) + _missing(payload, ["uid"]) + _token(payload, secret, now, "bot-manager")
    return objections + _sessions(payload) + _segments(payload, _times, _length)


def g2_objections(payload: Mapping[str, Any], *, secret: str, now: datetime) -> list[str]:
    """Vexa's bot, v0.10: a segment id; a numeric meeting_id where there is no token."""
    objections = _type(payload)
    objections += _token(payload, secret, now, "meeting-api") if payload.get("token") else _numeric_meeting(payload)
    return objections + _sessions(payload) + _segments(payload, _times, _length, _segment_id)


def g3_objections(payload: Mapping[str, Any]) -> list[str]:
    """Vexa's bot, v0.12: a numeric meeting_id and a segment id; finals of no length only in the chat."""
    if payload.get("type", "transcription") != "transcription":
        return []  # ignored and acknowledged
    return _numeric_meeting(payload) + _segments(payload, _times, _length_unless_chat, _segment_id)


def _type(payload: Mapping[str, Any]) -> list[str]:
    return [] if payload.get("type", "transcription") in KNOWN_TYPES else ["unknown type"]


def _missing(payload: Mapping[str, Any], fields: list[str]) -> list[str]:
    return [f"{field} is missing" for field in fields if payload.get(field) in (None, "")]


def _numeric_meeting(payload: Mapping[str, Any]) -> list[str]:
    try:
        int(payload["meeting_id"])
    except (KeyError, TypeError, ValueError):
        return ["meeting_id is not numeric"]
    return []


def _token(payload: Mapping[str, Any], secret: str, now: datetime, issuer: str) -> list[str]:
    options: dict[str, Any] = {"verify_exp": False, "verify_iat": False, "require": ["exp", "meeting_id"]}
    try:
        claims = jwt.decode(
            payload.get("token") or "",
            secret,
            algorithms=["HS256"],
            audience="transcription-collector",
            issuer=issuer,
            options=options,  # type: ignore[arg-type]
        )
    except jwt.PyJWTError as error:
        return [f"token: {error}"]
    objections = [] if claims.get("scope") == "transcribe:write" else ["token: scope"]
    return objections if claims["exp"] >= now.timestamp() else [*objections, "token: expired"]


def _sessions(payload: Mapping[str, Any]) -> list[str]:
    """The collectors cut the Z off and read the rest as UTC, so an offset would be misread."""
    fields = {"session_start": "start_timestamp"}  # the end's time is not read
    field = fields.get(payload.get("type", ""))
    if field is None:
        return []
    text = payload.get(field)
    if not isinstance(text, str) or not text.endswith("Z"):
        return [f"{field} does not end in Z"]
    read = datetime.fromisoformat(text[:-1])
    return [] if read.tzinfo is None and read.replace(tzinfo=UTC) else [f"{field} has an offset"]


def _segments(payload: Mapping[str, Any], *rules: Callable[[Mapping[str, Any]], list[str]]) -> list[str]:
    if payload.get("type", "transcription") != "transcription":
        return []
    if not isinstance(payload.get("segments"), list):
        return ["segments is missing"]
    return [
        f"segments[{number}]: {objection}"
        for number, segment in enumerate(payload["segments"])
        for rule in rules
        for objection in rule(segment)
    ]


def _times(segment: Mapping[str, Any]) -> list[str]:
    try:
        float(segment["start"]), float(segment["end"])
    except (KeyError, TypeError, ValueError):
        return ["start or end is not a number"]
    return [] if isinstance(segment.get("text"), str) else ["text is missing"]


def _length(segment: Mapping[str, Any]) -> list[str]:
    return [] if abs(float(segment["end"]) - float(segment["start"])) >= 0.001 else ["no length"]


def _length_unless_chat(segment: Mapping[str, Any]) -> list[str]:
    may_be_empty = segment.get("source") == "chat" or not segment.get("completed")
    return [] if may_be_empty else _length(segment)


def _segment_id(segment: Mapping[str, Any]) -> list[str]:
    return [] if segment.get("segment_id") else ["segment_id is missing"]
