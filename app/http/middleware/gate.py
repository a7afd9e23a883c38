"""Refuse a request by its headers alone: key, size, load. The body is not read.

Plain ASGI, because FastAPI reads a whole multipart body before any dependency runs. A refusal does not
close the connection: the body is drained (see `drain_body`), so that a proxy or client that is still
sending it receives the answer instead of a broken pipe.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.errors import RetryLater, TooLarge, TooManyConnections, TranscriptionError
from app.core.options import Tier
from app.http.connection import CROWDED
from app.http.request.multipart import ENVELOPE_BYTES, too_large
from app.http.request.options import tier_of
from app.http.request.receive import content_length
from app.http.request_record import record_of
from app.http.response import errors as api_errors
from app.ops.keys import KeyRing


class Gate:
    """Check the key, the size and the load before the body is read.

    Args:
        keys: the accepted keys.
        max_upload_bytes: the largest file.
        refusal: why a request of this tier would be refused now; None if it has a chance.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        max_upload_bytes: int,
        refusal: Callable[[Tier], RetryLater | None],
    ) -> None:
        self._app = app
        self._keys = keys
        self._max_upload_bytes = max_upload_bytes
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or answer at once."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            try:
                self._check(scope)
            except TranscriptionError as refusal:
                record_of(scope).error = refusal
                await api_errors.to_response(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        key = self._keys.check(headers)
        record_of(scope).key_id = None if key is None else key.id
        if scope["method"] != "POST" or "/audio/" not in scope["path"]:
            return
        size = content_length(headers)
        if size is not None and size > self._max_upload_bytes + ENVELOPE_BYTES:
            raise TooLarge(too_large(self._max_upload_bytes))
        if scope.get("state", {}).get(CROWDED):
            raise TooManyConnections("This server has too many open connections. Retry shortly.", retry_after_s=1)
        # the field of the same name is not read yet, but Vexa sends both
        refusal = self._refusal(tier_of(headers.get("x-transcription-tier")))
        if refusal is not None:
            raise refusal
