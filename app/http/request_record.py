"""What one request's log line and metrics tell: gathered while it is served, told at its end.

Never a word of its text, its prompt or its key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from starlette.types import Scope

from app.core.errors import InvalidRequest, TranscriptionError
from app.core.options import Tier
from app.core.transcript import AudioInfo, Timings

Outcome = Literal[
    "ok", "rejected_busy", "rejected_auth", "rejected_limit", "invalid_audio", "invalid_request", "cancelled", "error"
]  # fmt: skip


@dataclass(slots=True)
class RequestRecord:
    """One request, as far as it has come.

    Attributes:
        key_id: fingerprint of the key; None on an open server.
        failed: a stream broke off after its status had been sent.
        bad_file: the audio was at fault, not a parameter.
        hung_up: the client left before the end of a stream.
    """

    request_id: str
    key_id: str | None = None
    lane: Tier = "standard"
    stream: bool = False
    info: AudioInfo | None = None
    timings: Timings | None = None
    failed: bool = False
    bad_file: bool = False
    hung_up: bool = False

    def note_error(self, error: TranscriptionError) -> None:
        """Remember why the request failed."""
        self.failed = True
        self.bad_file = isinstance(error, InvalidRequest) and error.param == "file"

    def outcome(self, status: int) -> Outcome:
        """How it ended, in one of a few words."""
        if self.hung_up or status == _GONE:
            return "cancelled"
        if status in _OUTCOMES:
            return _OUTCOMES[status]
        if status >= _SERVER_ERROR or (self.failed and status < _CLIENT_ERROR):
            return "error"
        if status >= _CLIENT_ERROR:
            return "invalid_audio" if self.bad_file else "invalid_request"
        return "ok"

    def log_fields(self) -> dict[str, object]:
        """The fields of the log line that say something."""
        fields: dict[str, object] = {"request_id": self.request_id}
        if self.key_id is not None:
            fields["key_id"] = self.key_id
        if self.stream:
            fields["stream"] = True
        if self.info is not None:
            fields |= {"audio_s": round(self.info.duration_s, 2), "language": self.info.language, "lane": self.lane}
        if self.timings is not None:
            fields |= {
                "decode_ms": round(self.timings.audio_decode_s * 1000),
                "queue_ms": round(self.timings.queue_s * 1000),
                "model_ms": round(self.timings.model_s * 1000),
            }
        return fields


_CLIENT_ERROR, _SERVER_ERROR, _GONE = 400, 500, 499
_OUTCOMES: dict[int, Outcome] = {401: "rejected_auth", 413: "rejected_limit", 503: "rejected_busy"}


def record_of(scope: Scope) -> RequestRecord:
    """The facts of a request; the outermost middleware puts them there."""
    return cast("RequestRecord", scope["record"])
