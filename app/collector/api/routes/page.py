"""The page for people at `/`, and its files; programs that do not accept HTML get JSON at `/`.

Plain HTML, CSS and JavaScript modules, read once and served from memory under fixed names. The content security
policy allows the page to connect to this server only, and prevents markup from strings.
Source: W3C Content Security Policy 3, Trusted Types; RFC 9110 for validators.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.collector.api.schema import RootBody
from app.collector.api.state import services_of

WEB: Final = Path(__file__).resolve().parents[1] / "web"
# Fixed here: systems disagree about .js, and browsers do not run scripts of a wrong type.
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",  # WebSockets of this server included
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
HEADERS: Final = {"Cache-Control": "no-cache"}  # revalidated each time: no stale page after an update
PAGE_HEADERS: Final = {
    **HEADERS,
    "Content-Security-Policy": "; ".join(POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Vary": "Accept",
}


@dataclass(frozen=True, slots=True)
class File:
    """Bytes with their type and an ETag that is the same in every process."""

    body: bytes
    media_type: str
    etag: str


def create_router(*, key_required: bool) -> APIRouter:
    """The routes of the page; the files are read here, once.

    Args:
        key_required: the page asks for a key at once instead of after the first refusal.
    """
    page = load_page(key_required=key_required)
    assets = load_assets()
    router = APIRouter()

    @router.get(
        "/",
        summary="Name and state of the service",
        tags=["health"],
        response_class=JSONResponse,
        responses={
            200: {"model": RootBody, "content": {"text/html": {"schema": {"type": "string"}}}},
            304: {"description": "The page that If-None-Match names is still the same."},
        },
    )
    async def root(request: Request) -> Response:
        """The service's name, state and main endpoints; for browsers, the page."""
        if "text/html" in request.headers.get("accept", ""):
            return _answer(request, page, PAGE_HEADERS)
        return JSONResponse(about(request), headers={"Vary": "Accept"})

    @router.get("/assets/{name}", include_in_schema=False)
    async def asset(request: Request, name: str) -> Response:
        """A file of the page."""
        if name not in assets:
            raise HTTPException(404)
        return _answer(request, assets[name], HEADERS)

    return router


def about(request: Request) -> RootBody:
    """The JSON body of `/`."""
    obstacles = services_of(request).health.obstacles()
    return {
        "service": "transcript-collector",
        "status": "unready" if obstacles else "ready",
        "endpoints": {"meetings": "/meetings", "search": "/search", "health": "/health", "docs": "/docs"},
    }


def load_page(*, key_required: bool) -> File:
    """The page, which knows whether this server needs a key."""
    template = Template((WEB / "index.html").read_text(encoding="utf-8"))
    return _file(template.substitute(key_required=str(key_required).lower()).encode(), ".html")


def load_assets() -> dict[str, File]:
    """The other files, by name."""
    return {
        path.name: _file(path.read_bytes(), path.suffix)
        for path in sorted(WEB.iterdir())
        if path.suffix in TYPES and path.name != "index.html"
    }


def _file(body: bytes, suffix: str) -> File:
    return File(body, TYPES[suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def _answer(request: Request, file: File, headers: dict[str, str]) -> Response:
    headers = {**headers, "ETag": file.etag}
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if known & {file.etag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
