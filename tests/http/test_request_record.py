from __future__ import annotations

import pytest

from app.core.errors import (
    AudioTooShort,
    DeviceLost,
    EngineFailure,
    InvalidRequest,
    MemoryFull,
    NotReady,
    Overloaded,
    ShuttingDown,
    StorageFull,
    TooManyConnections,
    TranscriptionError,
    UploadStalled,
)
from app.core.transcript import AudioInfo, Timings
from app.http.request_record import RequestRecord


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, None, "ok"),
        (200, EngineFailure("x"), "error"),
        (400, InvalidRequest("x", param="model"), "invalid_request"),
        (400, AudioTooShort("x"), "invalid_audio"),
        (404, None, "invalid_request"),
        (401, None, "rejected_auth"),
        (413, None, "rejected_limit"),
        (499, None, "cancelled"),
        (500, EngineFailure("x"), "error"),
        (408, UploadStalled("x"), "stalled"),
        (503, Overloaded("x", retry_after_s=1), "rejected_busy"),
        (503, TooManyConnections("x", retry_after_s=1), "rejected_connections"),
        (503, MemoryFull("x", retry_after_s=1), "rejected_memory"),
        (503, DeviceLost("x", retry_after_s=1), "rejected_device"),
        (503, NotReady("x", retry_after_s=1), "rejected_loading"),
        (503, ShuttingDown("x", retry_after_s=1), "rejected_draining"),
        (503, StorageFull("x", retry_after_s=1), "rejected_storage"),
        (503, None, "not_ready"),
        (200, ShuttingDown("x", retry_after_s=1), "error"),
    ],
)
def test_outcomes(status: int, error: TranscriptionError | None, outcome: str):
    """A few words for how a request can end, also when a stream broke off after its 200."""
    assert RequestRecord(request_id="r", error=error).outcome(status) == outcome


def test_stream_whose_client_left_is_cancelled():
    """A stream whose client disconnected counts as cancelled, although its status was 200."""
    assert RequestRecord(request_id="r", hung_up=True).outcome(200) == "cancelled"


def test_log_fields_hold_what_is_known():
    """An id always; the rest as far as the request came."""
    assert RequestRecord(request_id="r").log_fields() == {"request_id": "r"}
    record = RequestRecord(
        "r", key_id="ab", tier="realtime", stream=True, info=AudioInfo("de", 0.9, 2.004), timings=Timings(0.1, 0.2, 0.3)
    )
    assert record.log_fields() == {
        "request_id": "r", "key_id": "ab", "stream": True, "audio_s": 2.0, "language": "de", "tier": "realtime",
        "audio_decode_ms": 100, "queue_ms": 200, "model_ms": 300,
    }  # fmt: skip
