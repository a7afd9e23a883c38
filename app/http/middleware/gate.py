"""Refuse a request by its headers alone: key, tier, size, load, limits of the key. The body is not read.

Plain ASGI, because FastAPI reads a whole multipart body before any dependency runs. A refusal does not
close the connection: the body is drained (see `drain_body`), so that a proxy or client that is still
sending it receives the answer instead of a broken pipe.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.errors import RetryLater, TierNotAllowed, TooLarge, TooManyConnections, TranscriptionError
from app.core.options import Tier
from app.http.connection import CROWDED
from app.http.key_limits.exchange import LimitedExchange
from app.http.key_limits.limiter import KeyLimiter
from app.http.request.multipart import ENVELOPE_BYTES, too_large
from app.http.request.options import tier_of
from app.http.request.receive import content_length
from app.http.request_record import record_of
from app.http.response import errors as api_errors
from app.ops.keys import Key, KeyRing

_KEY = "api_key"  # in a request's scope


def key_of(scope: Scope) -> Key | None:
    """The key of a request that the gate let through; None on an open server."""
    key: Key | None = scope.get(_KEY)
    return key


def check_tier(key: Key | None, tier: Tier) -> None:
    """Refuse a tier that the key may not use.

    Raises:
        TierNotAllowed: lists those that it may use.
    """
    if key is not None and key.tiers is not None and not key.allows(tier):
        raise TierNotAllowed(
            f"The key '{key.name}' may not use the tier '{tier}'; it may use: {', '.join(sorted(key.tiers))}. Send "
            "one of them as transcription_tier."
        )


class Gate:
    """Check the key, the tier, the size, the load and the key's limits before the body is read.

    Args:
        keys: the accepted keys.
        max_upload_bytes: the largest file.
        refusal: why a request of this tier would be refused now; None if it has a chance.
        limiter: counts the requests of keys that have a name.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        max_upload_bytes: int,
        refusal: Callable[[Tier], RetryLater | None],
        limiter: KeyLimiter,
    ) -> None:
        self._app = app
        self._keys = keys
        self._max_upload_bytes = max_upload_bytes
        self._refusal = refusal
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or answer at once."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        exchange: LimitedExchange | None = None
        try:
            key = self._identify(scope)
            if key is not None and key.name:
                exchange = LimitedExchange(self._limiter, key, record_of(scope), send)
                send = exchange.send
            if scope["method"] == "POST" and "/audio/" in scope["path"]:
                self._check(scope, key)
                if exchange is not None:
                    await exchange.let_in()
        except TranscriptionError as refusal:
            record_of(scope).error = refusal
            await api_errors.to_response(refusal)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            if exchange is not None:
                await exchange.end()

    def _identify(self, scope: Scope) -> Key | None:
        key = self._keys.check(Headers(scope=scope))
        if key is not None:
            scope[_KEY] = key
            record = record_of(scope)
            record.key_id, record.key_name = key.id, key.name or None
        return key

    def _check(self, scope: Scope, key: Key | None) -> None:
        headers = Headers(scope=scope)
        # the field of the same name is not read yet, but Vexa sends both
        sent_tier = headers.get("x-transcription-tier")
        tier = tier_of(sent_tier)
        if sent_tier:
            check_tier(key, tier)
        size = content_length(headers)
        if size is not None and size > self._max_upload_bytes + ENVELOPE_BYTES:
            raise TooLarge(too_large(self._max_upload_bytes))
        if scope.get("state", {}).get(CROWDED):
            raise TooManyConnections("This server has too many open connections. Retry shortly.", retry_after_s=1)
        refusal = self._refusal(tier)
        if refusal is not None:
            raise refusal
