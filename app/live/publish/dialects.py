"""What differs for Vexa's own collectors: which entries they can read, and what their live readers expect. Pure.

`plain` is read by our collector, and by Vexa's if the handshake's token and meeting_id fit. The `vexa-*` dialects
also publish each change to the meeting's channel, as Vexa's bots do since v0.10, for live readers of Vexa.

- `vexa-0.9`: no `session_end`, on which that collector deletes the speaker events before it uses them.
- `vexa-0.12`: a numeric `meeting_id`, and times in Unix seconds: that collector stores no others, and no session.

Source: Vexa v0.9.x services/transcription-collector, v0.10.x and v0.12.x meeting-api.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.contracts.collector import iso_z, meeting_channel
from app.core.json_guard import load_json
from app.live.publish.payloads import MAX_MEETING_NUMBER, Draft, Final, Identity, LiveFrame, final_segment, to_json

DialectName = Literal["plain", "vexa-0.9", "vexa-0.10", "vexa-0.12"]
MAX_CLAIMS = 100  # a token has ten


@dataclass(frozen=True, slots=True)
class Dialect:
    """How entries are written.

    Attributes:
        session_end: is the end of a session written?
        unix_times: are the times of segments Unix seconds, not seconds of the session?
        numeric_meeting_id: is `meeting_id` written as a number, also if the token alone names it?
        bundles: are changes also published to the meeting's channel?
    """

    session_end: bool = True
    unix_times: bool = False
    numeric_meeting_id: bool = False
    bundles: bool = False


DIALECTS: dict[DialectName, Dialect] = {
    "plain": Dialect(),
    "vexa-0.9": Dialect(session_end=False, bundles=True),
    "vexa-0.10": Dialect(bundles=True),
    "vexa-0.12": Dialect(unix_times=True, numeric_meeting_id=True, bundles=True),
}


def adapted(identity: Identity, dialect: Dialect) -> Identity:
    """The identity as this dialect writes it; unchanged if no number of the meeting is known."""
    number = meeting_number(identity)
    return identity if number is None or not dialect.numeric_meeting_id else replace(identity, meeting_id=number)


def meeting_number(identity: Identity) -> int | None:
    """Vexa's number of the meeting: a claim of the token (not verified, it only names a channel), or `meeting_id`."""
    return _number(_claims(identity.token or "").get("meeting_id")) or _number(identity.meeting_id)


def bundle_frame(
    identity: Identity, confirmed: Sequence[Final], pending: Sequence[Draft], *, start_ms: int, now_ms: int, unix: bool
) -> LiveFrame | None:
    """New finals and all drafts for the meeting's channel; None if the meeting has no number.

    Args:
        identity: of the session.
        confirmed: new final segments.
        pending: all drafts, in the place of those before.
        start_ms: Unix time of the session's second 0.
        now_ms: Unix time.
        unix: are times written as Unix seconds?
    """
    number = meeting_number(identity)
    if number is None:
        return None
    offset_ms = start_ms if unix else 0
    drafts = [
        {
            "segment_id": f"{identity.connection_id}:draft:{n}",
            "start": (draft.start_ms + offset_ms) / 1000,
            "end": (draft.end_ms + offset_ms) / 1000,
            "text": draft.text,
            **({} if draft.language is None else {"language": draft.language}),
            "completed": False,
            "speaker": None,
            "absolute_start_time": iso_z(start_ms + draft.start_ms),
            "absolute_end_time": iso_z(start_ms + draft.end_ms),
        }
        for n, draft in enumerate(pending)
    ]
    bundle: dict[str, Any] = {
        "type": "transcript",
        "meeting": {"id": number},
        "meeting_id": str(number),
        "uid": identity.uid,
        "speaker": "",
        "confirmed": [final_segment(identity, final, unix_times=unix) for final in confirmed],
        "pending": drafts,
        "ts": iso_z(now_ms),
    }
    key = f"meeting:{number}:pending:{identity.uid}"
    return LiveFrame(meeting_channel(number), to_json(bundle), key, to_json(drafts))


def _claims(token: str) -> dict[str, Any]:
    """The claims of a JSON web token; empty if it is none."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  header, claims, signature
        return {}
    try:
        claims = load_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), max_structure=MAX_CLAIMS)
    except (ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


def _number(value: Any) -> int | None:
    """A positive number, or text that is one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_MEETING_NUMBER)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= MAX_MEETING_NUMBER else None
