"""What the live gateway and the collector share: Redis keys, field names and the form of times.

Source: Vexa v0.3 to v0.12 (WhisperLive, meeting-api, vexa-bot); the parts named `tc:session:*` and
`session:*:pending` are ours.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

SEGMENTS_STREAM: Final = "transcription_segments"  # entries have one field, `payload`: a JSON object
PAYLOAD_FIELD: Final = "payload"
SPEAKER_EVENTS_STREAM: Final = "speaker_events_relative"  # entries have flat fields, all strings
DEAD_SUFFIX: Final = ":dead"  # of a stream's name: entries that could not be used
CONSUMER_GROUP: Final = "stt_collector"

SPEAKER_START: Final = "SPEAKER_START"
SPEAKER_END: Final = "SPEAKER_END"


def draft_channel(connection_id: str) -> str:
    """The pub/sub channel with the drafts of one connection of our gateway."""
    return f"tc:session:{connection_id}"


def draft_key(connection_id: str) -> str:
    """The string with the newest drafts of one connection, for readers that come later; expires after 60 s."""
    return f"session:{connection_id}:pending"


def meeting_channel(meeting_id: int | str) -> str:
    """The pub/sub channel with the live frames of one meeting."""
    return f"tc:meeting:{meeting_id}:mutable"


def status_channel(meeting_id: int | str) -> str:
    """The pub/sub channel on which Vexa tells a meeting's status."""
    return f"bm:meeting:{meeting_id}:status"


def chat_channel(meeting_id: int | str) -> str:
    """The pub/sub channel with a meeting's chat messages."""
    return f"va:meeting:{meeting_id}:chat"


def iso_z(unix_ms: int) -> str:
    """A time as producers write it: UTC with milliseconds and a trailing Z (older readers misread an offset)."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{unix_ms % 1000:03d}Z"
