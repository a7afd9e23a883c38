from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Unauthorized
from app.ops.keys import KeyRing, presented_key
from tests.clients import Exchange, worker

KEYS = "sk-one, sk-two"
JSON_MULTIPART = (b"content-type", b"multipart/form-data; boundary=x")


def test_open_server_asks_for_nothing():
    """Without keys everybody may enter, whatever they send."""
    assert KeyRing(()).check({}) is None
    assert KeyRing(()).check({"authorization": "Bearer whatever"}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer sk-one"},
        {"authorization": "bearer sk-two"},
        {"authorization": "BEARER   sk-one  "},
        {"x-api-key": "sk-two"},
        {"authorization": "Bearer ", "x-api-key": "sk-one"},
        {"authorization": "Basic dXNlcg==", "x-api-key": "sk-one"},
    ],
)
def test_any_key_in_either_header(headers: dict[str, str]):
    """Every key opens, in both headers, whatever the scheme's case; the answer is a fingerprint."""
    key_id = KeyRing(("sk-one", "sk-two")).check(headers)
    assert key_id is not None
    assert len(key_id) == 8
    assert "sk-" not in key_id


@pytest.mark.parametrize(
    ("headers", "presented"),
    [
        ({}, False),
        ({"authorization": ""}, False),
        ({"authorization": "Bearer"}, False),
        ({"authorization": "Bearer    "}, False),
        ({"authorization": "Basic c2stb25l"}, False),
        ({"authorization": "sk-one"}, False),
        ({"x-api-key": "  "}, False),
        ({"authorization": "Bearer sk-on"}, True),
        ({"authorization": "Bearer sk-one sk-two"}, True),
        ({"authorization": "Bearer sk-one,sk-two"}, True),
        ({"authorization": "Bearer SK-ONE"}, True),
        ({"x-api-key": "sk-one\x00"}, True),
        ({"x-api-key": "\xff" * 100_000}, True),
    ],
)
def test_no_key_and_wrong_key_are_told_apart(headers: dict[str, str], presented: bool):  # noqa: FBT001 - a table
    """`presented` says whether a key was sent at all."""
    with pytest.raises(Unauthorized) as refused:
        KeyRing(("sk-one", "sk-two")).check(headers)
    assert refused.value.presented is presented
    assert "sk-o" not in refused.value.message


def test_keys_beyond_ascii_are_compared_as_bytes():
    """A header is bytes that arrive as latin-1; a UTF-8 key still opens."""
    sent = "Bearer schlüssel-鍵".encode().decode("latin-1")
    assert KeyRing(("schlüssel-鍵",)).check({"authorization": sent}) is not None


def test_presented_key_prefers_bearer():
    """With both headers, the one every SDK sends counts."""
    assert presented_key({"authorization": "Bearer a", "x-api-key": "b"}) == "a"


@pytest.mark.parametrize("setting", ["api_keys", "api_token"])
async def test_both_settings_close_the_door(setting: str):
    """API_KEYS and its alias API_TOKEN guard the same routes."""
    overrides: dict[str, Any] = {setting: KEYS}
    async with worker(**overrides) as running:
        refused = await running.client.get("/v1/models")
        entered = await running.client.get("/v1/models", headers={"X-API-Key": "sk-two"})
    assert (refused.status_code, entered.status_code) == (401, 200)
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["error"] == {
        "message": refused.json()["error"]["message"],
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


async def test_wrong_key_has_openais_code():
    """A key that was sent and is wrong gets code invalid_api_key."""
    async with worker(api_keys=KEYS) as running:
        answer = await running.client.get("/v1/models", headers={"Authorization": "Bearer sk-three"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_key_is_checked_before_the_body_is_read():
    """A refused upload is answered while nothing of its body was taken."""
    async with worker(api_keys=KEYS) as running:
        exchange = Exchange(running.app, [JSON_MULTIPART, (b"content-length", b"3000000")])
        exchange.feed(b"x" * 65536, more=True)
        await exchange.run()
    assert exchange.status == 401
    assert exchange.n_received == 0
    assert "connection" not in exchange.answered


async def test_key_comes_before_size_and_route():
    """A stranger learns nothing: too large, unknown and busy all look the same from outside."""
    async with worker(api_keys=KEYS, max_upload_bytes=1024) as running:
        large = Exchange(running.app, [(b"content-length", b"99999999999")])
        await large.run()
        unknown = await running.client.get("/v1/nowhere")
        wrong_method = await running.client.delete("/v1/models")
    assert [large.status, unknown.status_code, wrong_method.status_code] == [401, 401, 401]


async def test_health_needs_no_key():
    """Probes carry no secrets."""
    async with worker(api_keys=KEYS) as running:
        statuses = [
            (await running.client.get(path)).status_code for path in ("/", "/health", "/health/live", "/health/ready")
        ]
    assert statuses == [200, 200, 200, 200]


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/v1/audio/transcriptions", "/v1/models/a/b"])
async def test_every_route_under_v1_is_guarded(path: str):
    """No alias and no spelling of a path goes round the gate."""
    async with worker(api_keys=KEYS) as running:
        assert (await running.client.post(path)).status_code == 401
        for odd in (f"/{path}", path.upper(), f"/x/..{path}"):
            exchange = Exchange(running.app, path=odd)
            exchange.feed(b"")
            await exchange.run()
            assert exchange.status in (401, 404, 405)
