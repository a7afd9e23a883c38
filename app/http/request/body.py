"""Read a request's body by its content type: multipart from most clients, JSON from a few."""

from __future__ import annotations

import asyncio

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from app.core.errors import UnsupportedContentType
from app.http.request.json_body import read_json
from app.http.request.multipart import Upload, read_upload
from app.http.request.receive import UploadBudget


async def read_body(request: Request, *, max_file_bytes: int, budget: UploadBudget, turn: asyncio.Semaphore) -> Upload:
    """Read the whole body.

    Args:
        request: with a body of either type.
        max_file_bytes: the largest file.
        budget: the memory for uploads that are not complete.
        turn: held while a large JSON body is parsed.
    Raises:
        UnsupportedContentType: neither multipart/form-data nor application/json, or compressed.
        InvalidRequest: the body is malformed.
        TooLarge: the file is larger than `max_file_bytes`.
        UploadStalled: the client stopped sending.
        Overloaded: the budget is used up.
        Cancelled: the client left while sending.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedContentType("Content-Encoding is not supported for uploads; send the body as it is.")
    kind, _ = parse_options_header(request.headers.get("content-type", ""))
    with budget.share() as share:
        if kind == b"application/json":
            return await read_json(request, max_file_bytes=max_file_bytes, share=share, turn=turn)
        return await read_upload(request, max_file_bytes=max_file_bytes, share=share)
