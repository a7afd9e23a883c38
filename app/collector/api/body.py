"""Read a JSON body: bounded in bytes, structure and time, then checked against a type."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from app.collector.api.errors import ApiError, explain
from app.core.json_guard import load_json

MAX_BODY_BYTES: Final = 64 * 1024
PATIENCE_S: Final = 20.0

T = TypeVar("T")


async def read_json(request: Request, adapter: TypeAdapter[T]) -> T:
    """Return the body as a value of this type.

    Raises:
        ApiError: 413 too large, 408 it did not arrive, 422 it is not JSON or not of this type.
    """
    raw = await _receive(request)
    try:
        text = raw.decode()
        value: Any = load_json(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # refuses NaN and lone surrogates
    except ValueError:  # UnicodeError is one
        raise ApiError(422, "body: it is not a JSON object in UTF-8.") from None
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise ApiError(422, explain(error.errors(include_url=False))) from None


async def _receive(request: Request) -> bytes:
    too_large = ApiError(
        413, f"body: it is larger than {MAX_BODY_BYTES} bytes; send less.", headers={"Connection": "close"}
    )
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:20]) > MAX_BODY_BYTES:
        raise too_large
    received = bytearray()
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for piece in request.stream():
                received += piece
                if len(received) > MAX_BODY_BYTES:
                    raise too_large
    except TimeoutError:
        late = f"body: it did not arrive within {PATIENCE_S:.0f} seconds; send it again."
        raise ApiError(408, late, headers={"Connection": "close"}) from None
    return bytes(received)
