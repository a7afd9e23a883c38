"""Entries as each generation of producers writes them, and a meeting token for them."""

from __future__ import annotations

import json
from typing import Any

import jwt

from app.collector.facts import Entry
from app.collector.wire.segments_entry import read_segments_entry

STREAM = "transcription_segments"
SIGNING_KEY = "a key of more than thirty-two bytes, for HS256"
CLAIMS: dict[str, Any] = {
    "meeting_id": 8725,
    "user_id": 4,
    "platform": "google_meet",
    "native_meeting_id": "abc-defg-hij",
    "scope": "transcribe:write",
    "iss": "bot-manager",
    "aud": "transcription-collector",
    "iat": 1771147202,
    "exp": 1771154402,
    "jti": "1f0c",
}

G1_START = {
    "type": "session_start",
    "token": "T",
    "platform": "google_meet",
    "meeting_id": "abc-defg-hij",
    "uid": "6f1c",
    "start_timestamp": "2026-02-15T09:20:02.597046Z",
}
G1_SEGMENTS = {
    "type": "transcription",
    "token": "T",
    "platform": "google_meet",
    "meeting_id": 8725,
    "uid": "6f1c",
    "segments": [
        {"start": "0.000", "end": "3.200", "text": " Hello everyone.", "completed": True, "language": "en"},
        {"start": "3.200", "end": "4.100", "text": " We are", "completed": False},
    ],
}
G1_END = {
    "type": "session_end",
    "token": "T",
    "platform": "google_meet",
    "meeting_id": 8725,
    "uid": "6f1c",
    "end_timestamp": "2026-02-15T10:02:11.000000Z",
}
G2_SEGMENT = {
    "type": "transcription",
    "token": "T",
    "uid": "cb5b9518",
    "platform": "google_meet",
    "meeting_id": "8725",
    "segments": [
        {
            "start": 19.0,
            "end": 34.0,
            "text": "Hello",
            "language": "en",
            "completed": True,
            "speaker": "Alice",
            "segment_id": "cb5b9518:spk-1:7",
            "absolute_start_time": "2026-05-02T09:00:19.000Z",
            "absolute_end_time": "2026-05-02T09:00:34.000Z",
        }
    ],
}
G2_BUNDLE = {
    "type": "transcript",
    "meeting_id": "8725",
    "uid": "cb5b",
    "speaker": "Alice",
    "confirmed": [
        {"start": 19.0, "end": 34.0, "text": "Hello", "language": "en", "speaker": "Alice", "segment_id": "cb5b:7"}
    ],
    "pending": [{"start": 34.0, "end": 35.0, "text": "and", "segment_id": "cb5b:8"}],
}
G3_SEGMENT = {
    "type": "transcription",
    "meeting_id": 8725,
    "native_meeting_id": "abc-defg-hij",
    "segments": [
        {
            "segment_id": "ch-0:42:1",
            "speaker": "Alice",
            "speaker_key": "ch-0",
            "text": "Hello",
            "start": 1785835933.2,
            "end": 1785835935.0,
            "language": "en",
            "completed": True,
            "absolute_start_time": "2026-08-04T09:32:13.200Z",
            "absolute_end_time": "2026-08-04T09:32:15.000Z",
            "source": "glow-bound",
            "confidence": 0.9,
        }
    ],
}
G3_RETRACT = {
    "type": "transcript_retract",
    "meeting_id": 8725,
    "native_meeting_id": "abc-defg-hij",
    "segment_ids": ["turn:1:p0"],
}
OURS_START = {
    "type": "session_start",
    "token": "T",
    "platform": "google_meet",
    "meeting_id": 8725,
    "uid": "6f1c",
    "session_uid": "6f1c",
    "connection_id": "01JQ8Z",
    "start_timestamp": "2026-02-15T09:20:03.101Z",
    "start_time": "2026-02-15T09:20:03.101Z",
    "gateway": "gw-1",
}
OURS_SEGMENT = {
    "type": "transcription",
    "token": "T",
    "platform": "google_meet",
    "meeting_id": 8725,
    "uid": "6f1c",
    "session_uid": "6f1c",
    "connection_id": "01JQ8Z",
    "segments": [
        {
            "segment_id": "01JQ8Z:0",
            "seq": 0,
            "start": 0.0,
            "end": 3.2,
            "text": " Hello everyone.",
            "language": "en",
            "completed": True,
            "speaker": None,
            "absolute_start_time": "2026-02-15T09:20:03.101Z",
            "absolute_end_time": "2026-02-15T09:20:06.301Z",
        }
    ],
}
OURS_END = {
    "type": "session_end",
    "token": "T",
    "platform": "google_meet",
    "meeting_id": 8725,
    "uid": "6f1c",
    "session_uid": "6f1c",
    "connection_id": "01JQ8Z",
    "end_timestamp": "2026-02-15T10:02:11.000Z",
    "final_count": 184,
    "audio_s": 2528.4,
    "unheard_s": 0.0,
    "ending": "end_of_audio",
}


def read(payload: Any, *, secret: str = "", entry_id: str = "1771147203000-0") -> Entry:
    """Read a payload as it comes from the stream; a text is taken as it is."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return read_segments_entry(STREAM, entry_id, text, secret=secret)


def meeting_token(secret: str = SIGNING_KEY, **claims: Any) -> str:
    """A token as Vexa's bot manager signs it, with some claims replaced; None leaves a claim out."""
    kept = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return jwt.encode(kept, secret, algorithm="HS256")
