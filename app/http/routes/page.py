"""The web page at `/`, and its files.

Plain HTML, CSS and JavaScript modules, read once and served from memory under fixed names. Clients that
do not accept HTML get JSON at `/`: Vexa probes it. The content security policy allows the page to
connect to this server only, and prevents markup from strings.
Source: W3C Content Security Policy 3, Trusted Types; RFC 9110 for validators.
"""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.contracts.health import RootBody
from app.core import languages
from app.http.state import WorkerState, state_of

WEB = Path(__file__).resolve().parents[1] / "web"
# Fixed here: systems disagree about .js, and browsers do not run scripts of a wrong type.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "media-src blob:",  # the chosen file, played from the browser's memory
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
HEADERS = {
    # revalidated each time, with 304 while unchanged: no stale page after an update
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
PAGE_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": "; ".join(POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}


@dataclass(frozen=True, slots=True)
class File:
    """Bytes with their type and an ETag that is the same on every worker."""

    body: bytes
    media_type: str
    etag: str


def create_router(*, key_required: bool, max_upload_bytes: int) -> APIRouter:
    """The routes of the page; the files are read here, once.

    Args:
        key_required: the page prompts for an API key at once instead of after the first 401.
        max_upload_bytes: the page refuses larger files before sending them.
    """
    page = load_page(key_required=key_required, max_upload_bytes=max_upload_bytes)
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
        return JSONResponse(about(state_of(request)), headers={"Vary": "Accept"})

    @router.get("/assets/{name}", include_in_schema=False)
    async def asset(request: Request, name: str) -> Response:
        """A file of the page."""
        if name not in assets:
            raise HTTPException(404)
        return _answer(request, assets[name], HEADERS)

    return router


def load_page(*, key_required: bool, max_upload_bytes: int) -> File:
    """The page with this server's languages and limits."""
    template = Template((WEB / "index.html").read_text(encoding="utf-8"))
    text = template.substitute(
        languages=_language_options(),
        key_required=str(key_required).lower(),
        max_upload_bytes=max_upload_bytes,
    )
    return _file(text.encode(), ".html")


def load_assets() -> dict[str, File]:
    """The other files, by name."""
    return {
        path.name: _file(path.read_bytes(), path.suffix)
        for path in sorted(WEB.iterdir())
        if path.suffix in TYPES and path.name != "index.html"
    }


def about(worker: WorkerState) -> RootBody:
    """The JSON body of `/`."""
    engine = worker.loaded
    return {
        "service": "speech-to-text",
        "worker_id": worker.worker_id,
        "model": worker.model_name if engine else None,
        "device": engine.info.device if engine else None,
        "status": "ready" if worker.admission.ready else "initializing",
        "endpoints": {"transcribe": "/v1/audio/transcriptions", "health": "/health", "docs": "/docs"},
    }


def _language_options() -> str:
    named = sorted((name.title(), code) for code, name in languages.NAMES.items())
    return "\n".join(f'<option value="{html.escape(code)}">{html.escape(name)}</option>' for name, code in named)


def _file(body: bytes, suffix: str) -> File:
    return File(body, TYPES[suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def _answer(request: Request, file: File, headers: dict[str, str]) -> Response:
    headers = {**headers, "ETag": file.etag}
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if known & {file.etag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
