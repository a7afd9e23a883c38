"""The requests of a soak test, written out as bytes, so that a client can hang up in the middle of one. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.chaos.recordings import Recording, Recordings

BOUNDARY = "----soak-test-boundary"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"

Format = Literal["json", "verbose_json", "text", "srt", "vtt", "events"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One request.

    Attributes:
        kind: the row of the report that counts it.
        name: what it sends, unique among all uploads: its answer is compared with that of the idle cluster.
        format: of the answer; `events` is a stream of server-sent events.
    """

    kind: str
    name: str
    path: str
    content_type: str
    body: bytes
    format: Format

    @property
    def head(self) -> bytes:
        """The request's head for a client that writes bytes itself."""
        lines = (
            f"POST {self.path} HTTP/1.1",
            "Host: soak",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Connection: close",
        )
        return "\r\n".join((*lines, "", "")).encode()


@dataclass(frozen=True, slots=True)
class Uploads:
    """All requests by kind; those of one kind are sent equally often."""

    by_kind: Mapping[str, tuple[Upload, ...]]

    @property
    def all(self) -> tuple[Upload, ...]:
        """Every request."""
        return tuple(upload for uploads in self.by_kind.values() for upload in uploads)


def uploads_of(recordings: Recordings) -> Uploads:
    """Write the requests of every kind."""
    files = (*recordings.short, *(part.recording for part in recordings.parts))
    formats: tuple[Format, ...] = ("verbose_json", "srt", "text", "vtt", "json", "verbose_json")
    return Uploads(
        {
            "file": tuple(form("file", each, "json") for each in files),
            "format": tuple(
                form("format", each, shape) for each, shape in zip(recordings.encoded, formats, strict=True)
            ),
            "realtime": tuple(form("realtime", each, "verbose_json", transcription_tier="realtime") for each in files),
            "stream": tuple(form("stream", each, "events", stream="true") for each in files[2:]),
            "json body": tuple(json_body("json body", each) for each in recordings.short),
            "long": (
                form("long", recordings.long, "verbose_json", transcription_tier="deferred"),
                form("long", recordings.long, "events", stream="true"),
            ),
            "translation": (form("translation", recordings.short[0], "json", path=TRANSLATIONS),),
        }
    )


def form(kind: str, recording: Recording, shape: Format, *, path: str = TRANSCRIPTIONS, **fields: str) -> Upload:
    """A multipart request for a recording."""
    wanted = {"model": "whisper-1", "response_format": "json" if shape == "events" else shape, **fields}
    body = multipart(wanted, recording.name, recording.data)
    name = f"{kind} {recording.name} {shape}"
    return Upload(kind, name, path, f"multipart/form-data; boundary={BOUNDARY}", body, shape)


def multipart(fields: Mapping[str, str], file_name: str, data: bytes) -> bytes:
    """A body with these fields and, last, the file."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return b"".join((*parts, head.encode(), data, f"\r\n--{BOUNDARY}--\r\n".encode()))


def json_body(kind: str, recording: Recording) -> Upload:
    """A JSON request with the audio in base64."""
    audio = {"data": base64.b64encode(recording.data).decode(), "format": "wav"}
    body = json.dumps({"model": "whisper-1", "response_format": "json", "input_audio": audio}).encode()
    return Upload(kind, f"{kind} {recording.name}", TRANSCRIPTIONS, "application/json", body, "json")
