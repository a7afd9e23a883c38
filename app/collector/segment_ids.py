"""What a segment is called outside the database. Pure."""

from __future__ import annotations

from typing import Final

LEGACY_PREFIX: Final = "t:"  # keys of segments that follow from a time; each session has its own


def shown_id(session_key: str, key: str) -> str:
    """Return the `segment_id` that clients merge by: unique within a meeting.

    Producers give ids that are unique within a meeting. A key that follows from a time is not: every session may
    have a `t:0`, so its session comes before it.
    """
    return f"{session_key}:{key}" if key.startswith(LEGACY_PREFIX) else key
