"""What clients of the WebSocket say and are answered. Pure.

Source: the gateway of Vexa v0.9 to v0.12; `since_seq`, `meeting_id`, `not_found` and `retry_after_s` are ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from app.collector.render.frames import Frame, mutable_frame
from app.core.json_guard import load_json

MAX_MESSAGE_CHARACTERS: Final = 64 * 1024
MAX_SUBSCRIPTIONS: Final = 100
RETRY_AFTER_S: Final = 1
CLOSE_NO_KEY: Final = 4401
CLOSE_FORBIDDEN: Final = 4403
CLOSE_TOO_LARGE: Final = 1009
CLOSE_RESTART: Final = 1012
_MAX_STRUCTURE: Final = 2_000
_MAX_NUMBER: Final = 2**63 - 1
_PLATFORM: Final = re.compile(r"[a-z0-9_]{1,100}")
_NATIVE_ID: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One meeting of a message.

    Attributes:
        index: its place in the message.
        since_seq: what the client has; 0: nothing.
        meeting_id: a meeting of the room other than the newest.
    """

    index: int
    platform: str
    native_id: str
    since_seq: int = 0
    meeting_id: int | None = None

    def named(self) -> dict[str, str]:
        """As answers name it."""
        return {"platform": self.platform, "native_id": self.native_id}


@dataclass(frozen=True, slots=True)
class Request:
    """A message of a client.

    Attributes:
        problems: parts of it that cannot be used.
    """

    action: Literal["subscribe", "unsubscribe", "ping"]
    meetings: tuple[Wanted, ...] = ()
    problems: tuple[str, ...] = ()


class Unreadable(Exception):
    """A message that cannot be used at all.

    Attributes:
        answer: what the client is told.
    """

    def __init__(self, code: str, details: str | None = None) -> None:
        super().__init__(code)
        self.answer = error(code, details)


def read_request(text: str) -> Request:
    """Read a message.

    Raises:
        Unreadable: with the answer.
    """
    try:
        message = load_json(text, max_structure=_MAX_STRUCTURE)
    except ValueError:
        raise Unreadable("invalid_json") from None
    if not isinstance(message, dict):
        raise Unreadable("invalid_json", "a message must be an object")
    match message.get("action"):
        case "ping":
            return Request("ping")
        case "subscribe" | "unsubscribe" as action:
            return _with_meetings(action, message.get("meetings"))
        case _:
            raise Unreadable("unknown_action", "'action' must be subscribe, unsubscribe or ping")


def error(code: str, details: str | Sequence[str] | None = None, **more: Any) -> dict[str, Any]:
    """An error as Vexa's gateway sends it."""
    return {"type": "error", "error": code, **({} if details is None else {"details": details}), **more}


def not_found(wanted: Wanted) -> str:
    """Why a meeting was not subscribed: it is unknown, or it is somebody else's, which must look the same."""
    return f"meetings[{wanted.index}] not authorized or not found for user"


def refused(problems: Sequence[str], unknown: Sequence[Wanted]) -> dict[str, Any]:
    """The answer for meetings that were not subscribed; unknown ones may begin at any moment."""
    later = {"not_found": [each.named() for each in unknown], "retry_after_s": RETRY_AFTER_S} if unknown else {}
    return error("invalid_subscribe_payload", list(problems), **later)


def encode(frame: Mapping[str, Any]) -> str:
    """A frame as text; half of a surrogate pair, which UTF-8 cannot hold, becomes a question mark."""
    text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode("utf-8")


def encode_mutable(frame: Frame) -> str | None:
    """A frame for Vexa's first clients; None if they do not know it or it says nothing to them."""
    if frame["type"] in {"meeting.status", "chat_message"}:
        return encode(frame)
    mutable = mutable_frame(frame)
    return encode(mutable) if mutable is not None and mutable["payload"]["segments"] else None


def _with_meetings(action: Literal["subscribe", "unsubscribe"], meetings: object) -> Request:
    code = f"invalid_{action}_payload"
    if not isinstance(meetings, list) or not meetings:
        raise Unreadable(code, "'meetings' must be a list with at least one meeting")
    if len(meetings) > MAX_SUBSCRIPTIONS:
        raise Unreadable(code, f"'meetings' has {len(meetings)} items; the limit is {MAX_SUBSCRIPTIONS}")
    found, problems = [], []
    for index, value in enumerate(meetings):
        try:
            found.append(_wanted(index, value))
        except ValueError as problem:
            problems.append(f"meetings[{index}] {problem}")
    return Request(action, tuple(found), tuple(problems))


def _wanted(index: int, value: object) -> Wanted:
    if not isinstance(value, dict):
        raise ValueError("must be an object")  # noqa: TRY004 - a client's mistake
    platform, native_id = value.get("platform"), value.get("native_id", value.get("native_meeting_id"))
    if not platform or not native_id:
        raise ValueError("missing 'platform' or 'native_id'")
    if not isinstance(platform, str) or not _PLATFORM.fullmatch(platform):
        raise ValueError("'platform' must match [a-z0-9_]{1,100}")
    if not isinstance(native_id, str) or not _NATIVE_ID.fullmatch(native_id):
        raise ValueError("'native_id' must have 1 to 255 characters and no control characters")
    return Wanted(
        index,
        platform,
        native_id,
        since_seq=_number(value, "since_seq", 0) or 0,
        meeting_id=_number(value, "meeting_id", 1),
    )


def _number(value: Mapping[str, Any], field: str, least: int) -> int | None:
    number = value.get(field)
    if number is None:
        return None
    if isinstance(number, str) and number.isascii() and number.isdecimal():
        number = int(number[:20])
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= _MAX_NUMBER:
        raise ValueError(f"'{field}' must be a whole number from {least}")
    return number
