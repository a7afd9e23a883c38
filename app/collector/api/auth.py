"""Who sends a request: keys of readers, and the secret that other services of the same operator share.

A key is a static one (owner 1, may do everything) or a stored token, which the database knows by its SHA-256 only.
Source: Vexa's `X-API-Key` and its texts for a missing and for an unknown key.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from app.collector.api.errors import ApiError
from app.collector.rows import ApiKey
from app.collector.services import ApiOptions, Services
from app.ops.keys import KeyRing, presented_key

Scope = Literal["read", "write", "delete"]
DEFAULT_OWNER_ID: Final = 1
EVERYTHING: Final = frozenset[str](("read", "write", "delete"))
QUERY_NAME: Final = "api_key"  # for browsers' EventSource and WebSocket, which cannot send headers
MISSING: Final = "Missing API token"
INVALID: Final = "Invalid API token"
_MAX_KEY: Final = 512  # characters; a longer one is not worth hashing
_MAX_OWNER_ID: Final = 2**31 - 1


class MissingKey(ApiError):
    """A key is needed, and none was sent."""

    def __init__(self) -> None:
        super().__init__(403, MISSING)


class InvalidKey(ApiError):
    """The key is unknown or has expired."""

    def __init__(self) -> None:
        super().__init__(403, INVALID)


async def identify(connection: HTTPConnection, services: Services, *, in_query: bool = False) -> ApiKey:
    """Return whose data the sender may use, and for what.

    Args:
        connection: a request, or a WebSocket that may not be accepted yet.
        services: the application's.
        in_query: also accept `?api_key=`. Only for live push: addresses end up in histories and in logs of proxies.

    Raises:
        MissingKey: no key was sent, and this server needs one.
        InvalidKey: the key is not accepted.
        DatabaseAway: whether the key is accepted cannot be said now.
    """
    options = services.options
    owner_id = _owner_named_by_gateway(connection, options)
    if owner_id is not None:
        return ApiKey(owner_id, EVERYTHING)
    key = presented_key(connection.headers)
    if not key and in_query:
        key = connection.query_params.get(QUERY_NAME, "").strip()
    found = await _known(key, services) if key else None
    if found is not None:
        return found
    if not options.needs_key:
        return ApiKey(DEFAULT_OWNER_ID, EVERYTHING)
    raise InvalidKey if key else MissingKey


def require_scope(key: ApiKey, scope: Scope) -> ApiKey:
    """Return the key if it may do this.

    Raises:
        ApiError: 403, with the scope that is missing.
    """
    if scope not in key.scopes:
        raise ApiError(403, f"This API token lacks the scope {scope!r}; create one with --scopes {scope}.")
    return key


def is_internal(connection: HTTPConnection, options: ApiOptions) -> bool:
    """Did the sender prove to be a service of the same operator, with `X-Internal-Secret`?"""
    presented = connection.headers.get("x-internal-secret", "")
    return bool(options.internal_secret) and hmac.compare_digest(_digest(presented), _digest(options.internal_secret))


def key_hash(key: str) -> str:
    """What the database keeps of a stored token: its SHA-256 in hexadecimal."""
    return _digest(key).hex()


async def _known(key: str, services: Services) -> ApiKey | None:
    if len(key) > _MAX_KEY:
        return None
    static = services.options.keys
    if static and KeyRing(static).find(key) is not None:
        return ApiKey(DEFAULT_OWNER_ID, EVERYTHING)
    return await services.store.key(key_hash(key), now_ms=services.clock.now_ms())


def _owner_named_by_gateway(connection: HTTPConnection, options: ApiOptions) -> int | None:
    named = connection.headers.get("x-user-id", "")
    if not options.trust_x_user_id or not named or not is_internal(connection, options):
        return None
    if not (named.isascii() and named.isdigit() and 1 <= int(named[:20]) <= _MAX_OWNER_ID):
        raise ApiError(422, "X-User-Id: it must be a whole number from 1 to 2147483647.")
    return int(named)


def _digest(secret: str) -> bytes:
    # "surrogatepass": header bytes beyond ASCII may arrive as lone surrogates. No accepted key has any.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def is_other_page(connection: HTTPConnection, options: ApiOptions) -> bool:
    """Does a browser ask for a page of another server, where no key stops it? Any page that a user opens could."""
    origin = connection.headers.get("origin")
    if options.needs_key or origin is None:
        return False
    try:
        return urlsplit(origin).netloc != connection.headers.get("host")
    except ValueError:  # an Origin that is no URL
        return True


def refuse_other_pages(connection: HTTPConnection, options: ApiOptions) -> None:
    """Let other pages change nothing.

    Raises:
        ApiError: 403, a browser sent this for a page of another server.
    """
    if is_other_page(connection, options):
        raise ApiError(403, "Origin: pages of other servers may change nothing on a server without keys.")


async def _reader(request: Request) -> ApiKey:
    return require_scope(await identify(request, request.app.state.services), "read")


async def _writer(request: Request) -> ApiKey:
    refuse_other_pages(request, request.app.state.services.options)
    return require_scope(await identify(request, request.app.state.services), "write")


async def _deleter(request: Request) -> ApiKey:
    refuse_other_pages(request, request.app.state.services.options)
    return require_scope(await identify(request, request.app.state.services), "delete")


Reader = Annotated[ApiKey, Depends(_reader)]
Writer = Annotated[ApiKey, Depends(_writer)]
Deleter = Annotated[ApiKey, Depends(_deleter)]
