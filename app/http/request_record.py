"""What the log line and the metrics of one request show: collected while it is served, read at its end.

Never its text, its prompt or its key.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from starlette.types import Scope

from app.core.errors import (
    DeviceLost,
    InvalidRequest,
    MemoryFull,
    NotReady,
    Overloaded,
    ShuttingDown,
    StorageFull,
    TooManyConnections,
    TranscriptionError,
)
from app.core.options import Tier
from app.core.transcript import AudioInfo, Timings
from app.engine.stage_times import StageTimes

Outcome = Literal[
    "ok",
    "rejected_busy",
    "rejected_connections",
    "rejected_memory",
    "rejected_device",
    "rejected_loading",
    "rejected_draining",
    "rejected_storage",
    "rejected_auth",
    "rejected_key_limit",
    "rejected_limit",
    "invalid_audio",
    "invalid_request",
    "stalled",
    "cancelled",
    "not_ready",
    "error",
]
_CLIENT_ERROR, _SERVER_ERROR, _UNAVAILABLE = 400, 500, 503
_BY_STATUS: Final[Mapping[int, Outcome]] = {
    401: "rejected_auth",
    403: "rejected_auth",
    408: "stalled",
    413: "rejected_limit",
    429: "rejected_key_limit",
    499: "cancelled",
    503: "not_ready",  # of a health route; every other 503 has its error
}
_BY_ERROR: Final[Mapping[type[object], Outcome]] = {
    Overloaded: "rejected_busy",
    TooManyConnections: "rejected_connections",
    MemoryFull: "rejected_memory",
    DeviceLost: "rejected_device",
    NotReady: "rejected_loading",
    ShuttingDown: "rejected_draining",
    StorageFull: "rejected_storage",
}


@dataclass(slots=True)
class RequestRecord:
    """One request, as far as it has come.

    Attributes:
        key_id: fingerprint of the key; None on an open server.
        key_name: its name in the keys file; None for a key without one.
        trace_id: 32 hexadecimal digits of the W3C trace that the request belongs to; None without one.
        upload_bytes: size of the file that was received completely.
        error: why it was refused or failed, also after a stream had begun.
        hung_up: the client left before the end of a stream.
        started_s: when the request's head had arrived, by `time.monotonic`.
        times: when its stages ran, as far as they did.
    """

    request_id: str
    key_id: str | None = None
    key_name: str | None = None
    trace_id: str | None = None
    tier: Tier = "standard"
    stream: bool = False
    upload_bytes: int | None = None
    info: AudioInfo | None = None
    timings: Timings | None = None
    error: TranscriptionError | None = None
    hung_up: bool = False
    started_s: float = field(default_factory=time.monotonic)
    times: StageTimes = field(default_factory=StageTimes)

    def outcome(self, status: int) -> Outcome:
        """How the request ended.

        Args:
            status: the status that was sent; 0 if the connection broke before one was.
        """
        if self.hung_up:
            return "cancelled"
        if status == _UNAVAILABLE and type(self.error) in _BY_ERROR:
            return _BY_ERROR[type(self.error)]
        if status in _BY_STATUS:
            return _BY_STATUS[status]
        if status >= _SERVER_ERROR or (status < _CLIENT_ERROR and self.error is not None):
            return "error"
        if status >= _CLIENT_ERROR:
            bad_file = isinstance(self.error, InvalidRequest) and self.error.param == "file"
            return "invalid_audio" if bad_file else "invalid_request"
        return "ok"

    def log_fields(self) -> dict[str, object]:
        """The fields of the log line that are known."""
        fields: dict[str, object] = {"request_id": self.request_id}
        if self.key_id is not None:
            fields["key_id"] = self.key_id
        if self.key_name is not None:
            fields["key_name"] = self.key_name
        if self.stream:
            fields["stream"] = True
        if self.upload_bytes is not None:
            fields["upload_bytes"] = self.upload_bytes
        if self.info is not None:
            fields |= {"audio_s": round(self.info.duration_s, 2), "language": self.info.language, "tier": self.tier}
        if self.timings is not None:
            fields |= {
                "audio_decode_ms": round(self.timings.audio_decode_s * 1000),
                "queue_ms": round(self.timings.queue_s * 1000),
                "model_ms": round(self.timings.model_s * 1000),
            }
        return fields


def record_of(scope: Scope) -> RequestRecord:
    """The record of a request, which the access log puts into its scope."""
    return cast("RequestRecord", scope["record"])
