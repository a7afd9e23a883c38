"""Which meeting and session an entry belongs to. Pure.

Producers name a meeting by platform and the platform's own id, by Vexa's number, by a token that holds the number,
or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from app.collector.facts import FIRST_OWN_MEETING_ID, NO_PLATFORM, NO_SESSION, Room
from app.collector.tokens import BadToken, Claims, verify
from app.collector.wire.errors import BadValue, Unusable
from app.collector.wire.values import Problems, name

_PLATFORM: Final = re.compile("[a-z0-9_]{1,100}")
# A JWT; Vexa's tokens are, its API keys are not.
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an entry comes from: the fields of the same names in `Entry`."""

    room: Room
    session_key: str
    session_uid: str | None
    connection_id: str | None


def read_origin(fields: Mapping[str, Any], *, secret: str, problems: Problems) -> Origin:
    """Read meeting and session of an entry.

    Args:
        fields: the payload's, or those of a speaker event.
        secret: checks the token, if there is one; empty: producers are trusted.
        problems: takes a platform or id that cannot be used; the meeting is then found by the rest.

    Raises:
        Unusable: a bad token, or a session that cannot be told from others.
    """
    connection_id = _session_id(fields, "connection_id")
    if connection_id is None:
        uid = _session_id(fields, "uid") or _session_id(fields, "session_uid")
    else:  # it tells the session from others, so clients that choose a strange uid lose no text
        uid = problems.optional("uid", fields.get("uid"), name) or problems.optional(
            "session_uid", fields.get("session_uid"), name
        )
    room = _room(fields, connection_id=connection_id, uid=uid, secret=secret, problems=problems)
    return Origin(room, connection_id or uid or NO_SESSION, uid, connection_id)


def _session_id(fields: Mapping[str, Any], field: str) -> str | None:
    value = fields.get(field)
    try:
        return None if value is None else name(value)
    except BadValue as error:
        raise Unusable(f"{field} {error}") from None


def _room(
    fields: Mapping[str, Any], *, connection_id: str | None, uid: str | None, secret: str, problems: Problems
) -> Room:
    token = _token(fields)
    claims = _claims(token, secret)
    signed_platform = claims.platform if claims else None
    platform = problems.optional("platform", signed_platform or fields.get("platform"), _platform)
    meeting_id, native_id = _ids(fields, token, claims, problems)
    if meeting_id is None:
        platform = platform or NO_PLATFORM
        native_id = native_id or uid or connection_id or NO_SESSION
    return Room(
        platform=platform,
        native_id=native_id,
        meeting_id=meeting_id,
        owner_id=claims.owner_id if claims else None,
        token_sha256=sha256(token.encode()).hexdigest() if token else None,
        expires_ms=claims.expires_ms if claims else None,
    )


def _token(fields: Mapping[str, Any]) -> str | None:
    token = fields.get("token")
    if token is not None and (not isinstance(token, str) or not token.isascii()):
        raise Unusable("token is not a string of ASCII characters")
    return token or None


def _claims(token: str | None, secret: str) -> Claims | None:
    if not token or not secret:
        return None
    try:
        return verify(token, secret)
    except BadToken as error:
        raise Unusable(error.reason) from None


def _ids(
    fields: Mapping[str, Any], token: str | None, claims: Claims | None, problems: Problems
) -> tuple[int | None, str | None]:
    """Vexa's number and the platform's own id.

    `meeting_id` is either, depending on the producer's generation. A number in JSON is Vexa's. Digits in a string are
    Vexa's too, unless an API key came with them: then they are the id of a Zoom or Teams meeting.
    """
    named = problems.optional("meeting_id", fields.get("meeting_id"), name)
    native_id = problems.optional("native_meeting_id", fields.get("native_meeting_id"), name)
    number = _vexa_number(named)
    if isinstance(fields.get("meeting_id"), str) and token and not _JWT.fullmatch(token):
        number = None
    if number is None:
        native_id = native_id or named
    if claims is None:
        return number, native_id
    signed_native_id = problems.optional("native_meeting_id of the token", claims.native_id, name)
    return claims.meeting_id, signed_native_id or native_id


def _vexa_number(named: str | None) -> int | None:
    if not named or not named.isascii() or not named.isdigit() or len(named) >= len(str(FIRST_OWN_MEETING_ID)):
        return None
    return int(named) or None


def _platform(value: Any) -> str | None:
    platform = name(value)
    if platform is None:
        return None
    platform = platform.lower()
    if not _PLATFORM.fullmatch(platform):
        raise BadValue("is not 1 to 100 letters, digits and underscores")
    return platform
