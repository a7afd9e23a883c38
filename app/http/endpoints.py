"""The labels of requests in the metrics: a fixed set of endpoints, and how requests to each of them can end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.http.request_record import Outcome

# The label of each path; clients can invent paths, but no labels.
_ENDPOINTS: Final = {
    "/v1/audio/transcriptions": "transcriptions",
    "/v1/v1/audio/transcriptions": "transcriptions",
    "/v1/audio/translations": "translations",
    "/v1/v1/audio/translations": "translations",
    "/v1/models": "models",
    "/health": "health",
    "/health/live": "health",
    "/health/ready": "health",
    "/metrics": "metrics",
}
# The endpoints whose requests are timed: the others are probes, scrapes and a page, and would only cost series.
AUDIO_ENDPOINTS: Final = ("transcriptions", "translations")
# The statuses with which each outcome is expected. A stream has sent its 200 before it fails or its client leaves.
_AUDIO_STATUSES: Final[Mapping[Outcome, tuple[int, ...]]] = {
    "ok": (200,),
    "rejected_busy": (503,),
    "rejected_connections": (503,),
    "rejected_memory": (503,),
    "rejected_device": (503,),
    "rejected_loading": (503,),
    "rejected_draining": (503,),
    "rejected_storage": (503,),
    "rejected_auth": (401, 403),
    "rejected_key_limit": (429,),
    "rejected_limit": (413,),
    "invalid_audio": (400,),
    "invalid_request": (400, 404),
    "stalled": (408,),
    "cancelled": (499, 200),
    "error": (500, 200),
}
_OTHER_STATUSES: Final[Mapping[str, Mapping[Outcome, tuple[int, ...]]]] = {
    "models": {"ok": (200,), "rejected_auth": (401,), "invalid_request": (404,), "rejected_loading": (503,)},
    "health": {"ok": (200,), "not_ready": (503,)},
    "metrics": {"ok": (200,)},
    "other": {"ok": (200,), "invalid_request": (404,)},
}
# endpoint -> outcome -> statuses
EXPECTED: Final[Mapping[str, Mapping[Outcome, tuple[int, ...]]]] = {
    **dict.fromkeys(AUDIO_ENDPOINTS, _AUDIO_STATUSES),
    **_OTHER_STATUSES,
}


def endpoint_of(path: str) -> str:
    """The label of a path: one of a fixed set."""
    return "models" if path.startswith("/v1/models/") else _ENDPOINTS.get(path, "other")
