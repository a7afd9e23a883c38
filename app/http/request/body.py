"""A request's body by its type: multipart from nearly everybody, JSON from a few."""

from __future__ import annotations

import asyncio

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from app.core.errors import UnsupportedContentType
from app.http.request.json_body import read_json
from app.http.request.multipart import Upload, read_upload


async def read_body(request: Request, *, max_file_bytes: int, turn: asyncio.Semaphore) -> Upload:
    """Read the whole body, whichever of the two it is.

    Args:
        request: with a body of either kind.
        max_file_bytes: the file's limit.
        turn: held while a large JSON body is taken apart.
    Raises:
        UnsupportedContentType: neither multipart/form-data nor application/json, or compressed.
        InvalidRequest: broken.
        TooLarge: the file is larger than `max_file_bytes`.
        Cancelled: the client left while sending.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedContentType("Content-Encoding is not supported for uploads; send the body as it is.")
    kind, _ = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"application/json":
        return await read_json(request, max_file_bytes=max_file_bytes, turn=turn)
    return await read_upload(request, max_file_bytes=max_file_bytes)
