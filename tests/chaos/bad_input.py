"""Requests that must be refused with 4xx, whatever else happens. Pure."""

from __future__ import annotations

import base64
import json

from tests.audio.test_ffmpeg import HOSTILE, NOT_MEDIA
from tests.chaos.recordings import Recording
from tests.chaos.uploads import BOUNDARY, TRANSCRIPTIONS, Upload, form, multipart
from tests.sounds import riff

KIND = "bad input"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
MODEL = {"model": "whisper-1"}
TOO_SHORT_SAMPLES = 800  # 0.05 s
NOBODY = {"path": "/nowhere/a.wav", "neighbour": "a.wav", "port": 9}


def bad_uploads(good: Recording) -> tuple[Upload, ...]:
    """Files that are no audio or name other files, and good audio in requests that are wrong."""
    files = {
        **NOT_MEDIA,
        **{name: text.format(**NOBODY).encode() for name, text in HOSTILE.items()},
        "empty": b"",
        "too-short": riff(bytes(2 * TOO_SHORT_SAMPLES)),
        "cut-in-the-header": good.data[:40],
    }
    return (
        *(_bad(name, MULTIPART, multipart(MODEL, "audio.wav", data)) for name, data in files.items()),
        form(KIND, good, "json", response_format="yaml"),
        form(KIND, good, "text", temperature="hot"),
        form(KIND, good, "srt", language="klingon"),
        form(KIND, good, "vtt", beam_size="99"),
        _bad("no file", MULTIPART, f"--{BOUNDARY}--\r\n".encode()),
        _bad("no boundary", "multipart/form-data", multipart(MODEL, "audio.wav", good.data)),
        _bad("cut body", MULTIPART, multipart(MODEL, "audio.wav", good.data)[:-200]),
        _bad("another type", "application/octet-stream", good.data),
        _bad("cut JSON", "application/json", b'{"model": "whisper-1", "input_audio": {'),
        _bad("deep JSON", "application/json", b"[" * 200_000),
        _bad("no base64", "application/json", _json("%%%")),
        _bad("no audio in base64", "application/json", _json(base64.b64encode(b"hello").decode())),
    )


def _bad(name: str, content_type: str, body: bytes) -> Upload:
    return Upload(KIND, f"{KIND} {name}", TRANSCRIPTIONS, content_type, body, "json")


def _json(data: str) -> bytes:
    return json.dumps({"model": "whisper-1", "input_audio": {"data": data, "format": "wav"}}).encode()
