"""Live frames as server-sent events. Pure."""

from __future__ import annotations

import re
from typing import Final

from app.collector.live.socket_protocol import encode
from app.collector.render.frames import Frame

RETRY_MS: Final = 2000
KEEPALIVE_S: Final = 15.0
KEEPALIVE: Final = ": still here\n\n"
HEAD: Final = f"retry: {RETRY_MS}\n\n"
_EVENTS: Final = {"transcript": "transcript", "transcript_retract": "retract", "meeting.status": "status"}
_ID: Final = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")


def event(frame: Frame) -> str | None:
    """A frame as an event whose id is `{meeting}-{seq}`; None if event streams do not have it.

    A frame without `seq` has no id, so that the client resumes after the last one that had.
    """
    name = _EVENTS.get(frame["type"])
    if name is None:
        return None
    place = f"id: {frame['meeting']['id']}-{frame['seq']}\n" if "seq" in frame else ""
    return f"event: {name}\n{place}data: {encode(frame)}\n\n"


def read_last_event_id(value: str | None) -> tuple[int, int] | None:
    """Return the meeting and the `seq` of the last event that a client had; None if it is not one of ours."""
    found = _ID.fullmatch(value or "")
    if found is None:
        return None
    meeting_id, seq = int(found[1]), int(found[2])
    most = 2**63 - 1
    return (meeting_id, seq) if meeting_id <= most and seq <= most else None
