from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.clients import worker
from tests.limited_keys import NEW_YEAR_S, limited


async def test_limits_and_what_is_used_of_them(tmp_path: Path):
    """Of the caller's own key; asking counts as nothing, and has the headers of every answer."""
    limits: dict[str, Any] = {
        "requests_per_minute": 60,
        "concurrent": 4,
        "audio_seconds_per_day": 3.5,
        "tiers": ["standard", "realtime"],
    }
    async with limited(tmp_path, **limits) as (running, _):
        await running.transcribe()
        answers = [await running.client.get("/v1/usage") for _ in range(2)]
        await running.transcribe()
        beyond = await running.client.get("/v1/usage")
    assert answers[0].json() == answers[1].json()
    assert answers[0].json() == {
        "object": "usage",
        "name": "alice",
        "tiers": ["realtime", "standard"],
        "requests_per_minute": {"limit": 60, "used": 1, "remaining": 59, "resets_at": NEW_YEAR_S + 60},
        "concurrent": {"limit": 4, "used": 0, "remaining": 4, "resets_at": None},
        "audio_seconds_per_day": {"limit": 3.5, "used": 2, "remaining": 1.5, "resets_at": NEW_YEAR_S + 86_400},
    }
    assert '"limit":60,"used":1,"remaining":59' in answers[0].text  # not 60.0
    assert answers[0].headers["x-ratelimit-remaining-requests"] == "59"
    assert beyond.json()["audio_seconds_per_day"]["remaining"] == 0


async def test_a_named_key_without_limits_is_counted(tmp_path: Path):
    """Its limits are null, what it has used is not."""
    async with limited(tmp_path) as (running, _):
        await running.transcribe()
        body = (await running.client.get("/v1/usage")).json()
    assert (body["name"], body["tiers"]) == ("alice", None)
    assert body["requests_per_minute"] == {"limit": None, "used": 1, "remaining": None, "resets_at": NEW_YEAR_S + 60}
    assert body["audio_seconds_per_day"]["used"] == 2


async def test_what_has_no_limits_is_null(tmp_path: Path):
    """A key of API_KEYS, and a server without keys; where keys are needed, one is needed here too."""
    nothing = {
        "object": "usage",
        "name": None,
        "tiers": None,
        "requests_per_minute": None,
        "concurrent": None,
        "audio_seconds_per_day": None,
    }
    async with limited(tmp_path, settings={"api_keys": "sk-plain"}) as (running, _):
        plain = await running.client.get("/v1/usage", headers={"Authorization": "Bearer sk-plain"})
        unknown = await running.client.get("/v1/usage", headers={"Authorization": "Bearer sk-x"})
    async with worker() as running:
        on_open_server = await running.client.get("/v1/usage")
    assert plain.json() == on_open_server.json() == nothing
    assert unknown.status_code == 401
