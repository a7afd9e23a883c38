from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Unauthorized
from app.core.options import Tier
from app.http.middleware import drain_body
from app.ops.keys import Key, KeyRing, digest_of, presented_key, require_sendable, split_keys
from tests.clients import Exchange, worker

KEYS = "sk-one, sk-two"
JSON_MULTIPART = (b"content-type", b"multipart/form-data; boundary=x")


def test_open_server_needs_no_key():
    """Without keys every request is accepted, whatever it carries."""
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
    """Every key is accepted in both headers, with the scheme in any case; what is logged of it is a fingerprint."""
    key = KeyRing(("sk-one", "sk-two")).check(headers)
    assert key is not None
    assert len(key.id) == 8
    assert "sk-" not in repr(key)


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
def test_no_key_and_wrong_key_are_distinguished(headers: dict[str, str], presented: bool):  # noqa: FBT001 - a table
    """`presented` says whether a key was sent at all."""
    with pytest.raises(Unauthorized) as refused:
        KeyRing(("sk-one", "sk-two")).check(headers)
    assert refused.value.presented is presented
    assert "sk-o" not in refused.value.message


@pytest.mark.parametrize("sent", ["schlüssel", "schl\udcc3\udcbcssel", "\x80", "鍵"])
def test_presented_bytes_beyond_ascii_are_a_wrong_key(sent: str):
    """Whatever form header bytes arrive in, they are refused, not an error of the server."""
    with pytest.raises(Unauthorized) as refused:
        KeyRing(("sk-one",)).check({"authorization": f"Bearer {sent}"})
    assert refused.value.presented


@pytest.mark.parametrize("key", ["schlüssel", "a\x07b", "a\nb", "鍵", "\x7f"])
def test_a_key_that_no_header_carries_is_refused(key: str):
    """Such a key could never be presented; the error says what is allowed and does not show the key."""
    with pytest.raises(ValueError, match="ASCII") as refused:
        require_sendable(("sk-one", key))
    assert key not in str(refused.value)


def test_keys_of_several_lists():
    """Comma-separated, each once, without white space around them; signs and inner spaces are allowed."""
    keys = split_keys(" sk-one, two words ,,", "sk-one,!~\n")
    assert keys == ("sk-one", "two words", "!~")
    require_sendable(keys)


def id_of(ring: KeyRing, presented: str) -> str | None:
    """The fingerprint under which a ring knows a key."""
    key = ring.find(presented)
    return None if key is None else key.id


def test_a_fingerprint_belongs_to_one_key():
    """It is the same for the same key, and differs between keys; an unknown key has none."""
    ring = KeyRing(("sk-one", "sk-two"))
    assert id_of(ring, "sk-one") == id_of(KeyRing(("sk-one",)), "sk-one")
    assert id_of(ring, "sk-one") != id_of(ring, "sk-two")
    assert id_of(ring, "") is None
    assert not ring.is_open
    assert KeyRing(()).is_open


def test_named_keys_are_accepted_beside_the_others_until_they_are_replaced():
    """A key of the file has its name and limits; once it is replaced it is refused, and the others stay."""
    alice, bob = (Key(digest=digest_of(f"sk-{name}"), name=name, concurrent=2) for name in ("alice", "bob"))
    ring = KeyRing(("sk-one",), named=(alice,))
    assert (ring.find("sk-alice"), ring.find("sk-bob")) == (alice, None)
    ring.replace_named((bob,))
    assert (ring.find("sk-alice"), ring.find("sk-bob")) == (None, bob)
    assert ring.find("sk-one") == Key(digest=digest_of("sk-one"))


def test_a_key_of_both_sources_has_the_limits_of_the_file():
    """Whoever moves a key to the file and forgets the setting has its limits."""
    limited = Key(digest=digest_of("sk-one"), name="alice", requests_per_minute=1)
    assert KeyRing(("sk-one",), named=(limited,)).find("sk-one") == limited


def test_a_server_with_a_keys_file_is_never_open():
    """Also when the file has no key at the moment."""
    ring = KeyRing((), named=())
    assert not ring.is_open
    with pytest.raises(Unauthorized):
        ring.check({"authorization": "Bearer whatever"})


@pytest.mark.parametrize(("tiers", "allowed"), [(None, True), (frozenset({"standard"}), False)])
def test_a_key_without_tiers_may_use_all(tiers: frozenset[Tier] | None, allowed: bool):  # noqa: FBT001 - a table
    """With a list, it may use those of the list."""
    key = Key(digest=b"", tiers=tiers)
    assert key.allows("standard")
    assert key.allows("realtime") is allowed


def test_presented_key_prefers_bearer():
    """If both headers are sent, Authorization wins: it is what the SDKs send."""
    assert presented_key({"authorization": "Bearer a", "x-api-key": "b"}) == "a"


@pytest.mark.parametrize("setting", ["api_keys", "api_token"])
async def test_both_settings_require_a_key(setting: str):
    """API_KEYS and its alias API_TOKEN protect the same routes."""
    overrides: dict[str, Any] = {setting: KEYS}
    async with worker(**overrides) as running:
        refused = await running.client.get("/v1/models")
        accepted = await running.client.get("/v1/models", headers={"X-API-Key": "sk-two"})
    assert (refused.status_code, accepted.status_code) == (401, 200)
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["error"] == {
        "message": refused.json()["error"]["message"],
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


async def test_wrong_key_has_openais_code():
    """A wrong key gets the code invalid_api_key."""
    async with worker(api_keys=KEYS) as running:
        answer = await running.client.get("/v1/models", headers={"Authorization": "Bearer sk-three"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_key_is_checked_before_the_body_is_read():
    """A refused upload is answered before any of its body is read."""
    async with worker(api_keys=KEYS) as running:
        exchange = Exchange(running.app, [JSON_MULTIPART, (b"content-length", b"3000000")])
        exchange.feed(b"x" * 65536, more=True)
        await exchange.run()
    assert exchange.status == 401
    assert exchange.n_received == 0
    assert "connection" not in exchange.answered


async def test_key_comes_before_size_and_route(monkeypatch: pytest.MonkeyPatch):
    """Without a key, every request gets 401, also one that is too large, to an unknown route or with a wrong method."""
    monkeypatch.setattr(drain_body, "MAX_DRAIN_S", 0.05)  # the body that is announced never comes
    async with worker(api_keys=KEYS, max_upload_bytes=1024) as running:
        large = Exchange(running.app, [(b"content-length", b"99999999999")])
        await large.run()
        unknown = await running.client.get("/v1/nowhere")
        wrong_method = await running.client.delete("/v1/models")
    assert [large.status, unknown.status_code, wrong_method.status_code] == [401, 401, 401]


async def test_health_needs_no_key():
    """Health checks send no key."""
    async with worker(api_keys=KEYS) as running:
        statuses = [
            (await running.client.get(path)).status_code for path in ("/", "/health", "/health/live", "/health/ready")
        ]
    assert statuses == [200, 200, 200, 200]


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/v1/audio/transcriptions", "/v1/models/a/b"])
async def test_every_route_under_v1_needs_a_key(path: str):
    """No alias and no spelling of a path avoids the check."""
    async with worker(api_keys=KEYS) as running:
        assert (await running.client.post(path)).status_code == 401
        for odd in (f"/{path}", path.upper(), f"/x/..{path}"):
            exchange = Exchange(running.app, path=odd)
            exchange.feed(b"")
            await exchange.run()
            assert exchange.status in (401, 404, 405)
