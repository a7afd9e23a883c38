"""Cross-origin requests: allowed for CORS_ORIGINS, which is empty by default.

A preflight carries no key, so it is answered before keys are checked. Errors carry allow-origin too;
otherwise a page would only see "network error".
"""

from __future__ import annotations

from typing import Final

from fastapi import Response
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from app.http.response import errors as api_errors

EXPOSED: Final = (
    "x-request-id",
    "openai-processing-ms",
    "retry-after",
    "server-timing",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
)
_REFUSED: Final = 400


class Cors(CORSMiddleware):
    """Starlette's middleware, with refusals in OpenAI's error shape.

    Args:
        origins: as browsers send them, such as `app://obsidian.md`; `*` = all.
    """

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        super().__init__(
            app, allow_origins=origins, allow_methods=("GET", "POST"), allow_headers=("*",), expose_headers=EXPOSED
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer the request that a browser sends before the actual one."""
        response = super().preflight_response(request_headers)
        if response.status_code != _REFUSED:
            return response
        return api_errors.envelope(
            _REFUSED, "This origin, method or header is not allowed; CORS_ORIGINS lists the origins that are."
        )
