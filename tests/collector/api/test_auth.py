from __future__ import annotations

import hashlib

import pytest
from starlette.requests import HTTPConnection

from app.collector.api.auth import (
    EVERYTHING,
    InvalidKey,
    MissingKey,
    identify,
    is_internal,
    key_hash,
    refuse_other_pages,
    require_scope,
)
from app.collector.api.errors import ApiError
from app.collector.errors import DatabaseAway
from app.collector.rows import ApiKey
from app.collector.services import Services
from tests.collector.fakes import FakeStore, services

SECRET = "s3"  # noqa: S105 - of this test
NO_SECRET = ""


def connection(query: str = "", **headers: str) -> HTTPConnection:
    """A request with these headers; `_` of their names stands for `-`."""
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw, "query_string": query.encode()})


async def token(parts: Services, value: str, owner_id: int, *scopes: str) -> None:
    """Store a token."""
    await parts.store.create_key(
        owner_id, key_hash(value), prefix=value[:4], name="", scopes=frozenset(scopes), expires_ms=None, now_ms=0
    )


async def test_static_keys_are_owner_1_and_may_do_everything():
    """In either header, compared as a whole."""
    parts = services(keys=("one", "two"), needs_key=True)
    for headers in ({"x_api_key": "two"}, {"authorization": "Bearer one"}, {"authorization": "bearer  one"}):
        assert await identify(connection(**headers), parts) == ApiKey(1, EVERYTHING)
    for wrong in ("tw", "twoo", "TWO", "x" * 1000, "tw\u00f6"):
        with pytest.raises(InvalidKey):
            await identify(connection(x_api_key=wrong), parts)


async def test_without_a_key_nothing_is_shown():
    """Vexa's texts for a missing and for an unknown key."""
    parts = services(keys=("one",), needs_key=True)
    with pytest.raises(MissingKey) as missing:
        await identify(connection(), parts)
    with pytest.raises(InvalidKey) as unknown:
        await identify(connection(x_api_key="other"), parts)
    assert (missing.value.status, missing.value.detail) == (403, "Missing API token")
    assert (unknown.value.status, unknown.value.detail) == (403, "Invalid API token")


async def test_stored_tokens_are_known_by_their_hash():
    """The owner and the scopes are those of the token; the token itself is nowhere."""
    store = FakeStore()
    parts = services(store=store, needs_key=True)
    await token(parts, "secret-token", 7, "read")
    assert list(store.keys) == [hashlib.sha256(b"secret-token").hexdigest()]
    key = await identify(connection(x_api_key="secret-token"), parts)
    assert key == ApiKey(7, frozenset({"read"}))
    assert require_scope(key, "read") is key
    with pytest.raises(ApiError, match="lacks the scope 'delete'"):
        require_scope(key, "delete")


async def test_a_key_in_the_address_is_for_live_push_only():
    """`?api_key=` counts where the caller allows it, after the headers."""
    parts = services(keys=("one",), needs_key=True)
    assert (await identify(connection("api_key=one"), parts, in_query=True)).owner_id == 1
    with pytest.raises(MissingKey):
        await identify(connection("api_key=one"), parts)
    with pytest.raises(InvalidKey):
        await identify(connection("api_key=one", x_api_key="other"), parts, in_query=True)


async def test_an_open_server_takes_everyone_as_owner_1():
    """Also with a key that it does not know; a stored token still names its owner."""
    parts = services()
    await token(parts, "t", 7, "read")
    assert await identify(connection(), parts) == ApiKey(1, EVERYTHING)
    assert await identify(connection(x_api_key="other"), parts) == ApiKey(1, EVERYTHING)
    assert (await identify(connection(x_api_key="t"), parts)).owner_id == 7


async def test_the_gateway_names_the_owner_with_the_secret_only():
    """`X-User-Id` counts with the setting and the right secret; a wrong number is a refusal."""
    parts = services(needs_key=True, internal_secret=SECRET, trust_x_user_id=True)
    assert await identify(connection(x_user_id="9", x_internal_secret=SECRET), parts) == ApiKey(9, EVERYTHING)
    for headers in ({"x_user_id": "9"}, {"x_user_id": "9", "x_internal_secret": "wrong"}, {"x_internal_secret": "s3"}):
        with pytest.raises(MissingKey):
            await identify(connection(**headers), parts)
    for number in ("0", "-1", "x", "\u00b2", "9" * 30):
        with pytest.raises(ApiError, match="X-User-Id"):
            await identify(connection(x_user_id=number, x_internal_secret=SECRET), parts)
    untrusting = services(needs_key=True, internal_secret=SECRET)
    with pytest.raises(MissingKey):
        await identify(connection(x_user_id="9", x_internal_secret=SECRET), untrusting)


def test_no_secret_means_that_nobody_is_internal():
    """An empty header does not equal an empty setting."""
    assert not is_internal(connection(x_internal_secret=NO_SECRET), services().options)
    assert is_internal(connection(x_internal_secret=SECRET), services(internal_secret=SECRET).options)


async def test_a_database_that_is_away_is_no_wrong_key():
    """Static keys work on; whether a token is known cannot be said."""
    store = FakeStore()
    store.away = True
    parts = services(store=store, keys=("one",), needs_key=True)
    assert (await identify(connection(x_api_key="one"), parts)).owner_id == 1
    with pytest.raises(DatabaseAway):
        await identify(connection(x_api_key="token"), parts)


@pytest.mark.parametrize(
    ("origin", "refused"), [("http://evil.example", True), ("null", True), ("http://[", True), ("http://here", False)]
)
def test_other_pages_change_nothing_on_an_open_server(origin: str, refused: bool):  # noqa: FBT001
    """A form of another page needs no permission of the browser; with keys it has none to send."""
    sent = connection(origin=origin, host="here")
    refuse_other_pages(sent, services(needs_key=True).options)
    refuse_other_pages(connection(host="here"), services().options)
    if refused:
        with pytest.raises(ApiError, match="Origin"):
            refuse_other_pages(sent, services().options)
    else:
        refuse_other_pages(sent, services().options)
