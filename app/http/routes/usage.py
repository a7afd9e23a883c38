"""GET /v1/usage: the limits of the caller's key, and what it has used of them."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.contracts.usage import LimitUsage, UsageBody
from app.http.middleware.gate import key_of
from app.http.response import openapi
from app.http.state import state_of

router = APIRouter(tags=["usage"])


@router.get("/v1/usage", summary="Limits and usage of the caller's key", responses=openapi.USAGE)
async def read_usage(request: Request) -> UsageBody:
    """The limits of the key that is sent with this request. Reading them counts as nothing.

    A key of API_KEYS, and a server without keys, have no limits: every value is null.
    """
    key = key_of(request.scope)
    if key is None or not key.name:
        return {
            "object": "usage",
            "name": None,
            "tiers": None,
            "requests_per_minute": None,
            "concurrent": None,
            "audio_seconds_per_day": None,
        }
    used = await state_of(request).keys.limiter.usage(key)
    return {
        "object": "usage",
        "name": key.name,
        "tiers": None if key.tiers is None else sorted(key.tiers),
        "requests_per_minute": _of(key.requests_per_minute, used.requests, used.minute.ends_s),
        "concurrent": _of(key.concurrent, used.running, None),
        "audio_seconds_per_day": _of(key.audio_seconds_per_day, used.audio_s, used.day.ends_s),
    }


def _of(limit: float | None, used: float, resets_at: int | None) -> LimitUsage:
    remaining = None if limit is None else max(0, round(limit - used, 3))
    return {"limit": limit, "used": used, "remaining": remaining, "resets_at": resets_at}
