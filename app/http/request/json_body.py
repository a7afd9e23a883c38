"""Read a JSON body with the audio in base64, as Open WebUI may send it.

`{"model": ..., "input_audio": {"data": <base64>, "format": "wav"}, "language": ..., ...}`; every
other key is a field, as in a form. The declared format is ignored: it is detected from the content.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import re
from collections.abc import Iterator, Mapping

from starlette.requests import Request

from app.core.errors import InvalidRequest, TooLarge
from app.core.json_guard import TooMuchStructure, load_json
from app.engine.engine import in_thread
from app.http.request.multipart import IGNORED_PREFIX, MAX_FIELD_BYTES, MAX_FIELDS_BYTES, MAX_PARTS, Upload
from app.http.request.receive import Share, chunks_of

AUDIO_FIELD = "input_audio"
# A JSON body is held in memory as a whole, unlike a multipart file, which goes to disk.
MAX_AUDIO_BYTES = 25 * 1024 * 1024
# Base64 is decoded in slices of this size: one long call into C would block every other thread.
SLICE_CHARACTERS = 1024 * 1024
# Larger bodies are parsed one after the other: parsing takes several times their size in memory.
LARGE_BYTES = 1024 * 1024
WHITE_SPACE = b" \t\n\r\v\f"
# For the fields beside the audio.
AROUND_BYTES = 1024 * 1024
DATA_URL = re.compile(r"data:[^,]{0,200};base64,")


async def read_json(request: Request, *, max_file_bytes: int, share: Share, turn: asyncio.Semaphore) -> Upload:
    """Read the whole body.

    Args:
        request: with a JSON body.
        max_file_bytes: the audio's limit, beside that of what is held in memory.
        share: what this upload holds of the budget of all uploads.
        turn: held while a large body is parsed.
    Raises:
        InvalidRequest: no JSON object, no audio in it, or invalid base64.
        TooLarge: the audio is larger than `max_file_bytes` or than what is held in memory.
        UploadStalled, Overloaded, Cancelled: as `chunks_of` and `Share.hold`.
    """
    limit_bytes = min(max_file_bytes, MAX_AUDIO_BYTES)
    body = bytearray()
    try:
        max_body_bytes = limit_bytes * 4 // 3 + AROUND_BYTES
        async for chunk in chunks_of(request, max_body_bytes=max_body_bytes, limits=share.limits):
            body += chunk
            share.hold(len(body))
    except TooLarge as exc:
        raise _too_large(limit_bytes) from exc
    async with turn if len(body) > LARGE_BYTES else contextlib.nullcontext():
        # on a thread: tens of megabytes take tenths of a second
        return await in_thread(lambda: parse(body, limit_bytes=limit_bytes))


def parse(body: bytes | bytearray, *, limit_bytes: int) -> Upload:
    """Parse a JSON body.

    Raises:
        InvalidRequest, TooLarge: as `read_json`.
    """
    try:
        given = load_json(body)
    except TooMuchStructure as exc:
        raise InvalidRequest(f"The JSON body has {exc}.") from exc
    except ValueError as exc:
        raise InvalidRequest("The body is not JSON; let a JSON library build it.") from exc
    if not isinstance(given, dict):
        raise InvalidRequest("The body is not a JSON object; send one with 'model' and 'input_audio'.")
    audio = _audio_of(given.pop(AUDIO_FIELD, None))
    if audio is not None and len(audio) > limit_bytes:
        raise _too_large(limit_bytes)
    if len(given) > MAX_PARTS:
        raise InvalidRequest(f"The body has {len(given)} keys; the limit is {MAX_PARTS}.")
    fields = [pair for name, value in given.items() for pair in _fields(name, value)]
    if sum(len(text) for _, text in fields) > MAX_FIELDS_BYTES:
        raise InvalidRequest(f"The values beside the audio are too long; the limit is {MAX_FIELDS_BYTES // 1024} KiB.")
    return Upload(
        fields=fields,
        file=None if audio is None else io.BytesIO(audio),
        file_bytes=len(audio or b""),
    )


def _audio_of(given: object) -> bytes | None:
    if given is None:
        return None
    data = given.get("data") if isinstance(given, Mapping) else given
    if not isinstance(data, str):
        raise InvalidRequest(
            f'{AUDIO_FIELD}: send {{"data": "<base64>", "format": "wav"}}; data must be a string.', param=AUDIO_FIELD
        )
    broken = InvalidRequest(
        f"{AUDIO_FIELD}.data: not base64 (A-Z a-z 0-9 + / with = at the end); encode the file's bytes.",
        param=AUDIO_FIELD,
    )
    prefix = DATA_URL.match(data)
    try:
        encoded = b"".join(
            data[at : at + SLICE_CHARACTERS].encode("ascii").translate(None, WHITE_SPACE)
            for at in range(prefix.end() if prefix else 0, len(data), SLICE_CHARACTERS)
        )
        # Python would accept excess padding, and padding at the end of every slice
        if len(encoded) % 4 or 0 <= encoded.find(b"=") < len(encoded) - 2:
            raise broken
        starts = range(0, len(encoded), SLICE_CHARACTERS)
        return b"".join(base64.b64decode(encoded[at : at + SLICE_CHARACTERS], validate=True) for at in starts)
    except ValueError as exc:  # also characters beyond ASCII
        raise broken from exc


def _fields(name: str, value: object) -> Iterator[tuple[str, str]]:
    """A JSON value as the form field with the same meaning; null is absent."""
    if value is None or name.startswith(IGNORED_PREFIX):
        return
    name = _valid_unicode(name)
    shown = name[:60]
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise InvalidRequest(f"{shown}: nested too deeply.", param=shown) from None
    if len(text) > MAX_FIELD_BYTES:
        raise InvalidRequest(f"{shown}: too long; the limit is {MAX_FIELD_BYTES // 1024} KiB.", param=shown)
    yield name, _valid_unicode(text)


def _valid_unicode(text: str) -> str:
    r"""A text without lone surrogates, which JSON can express (`\ud800`) but UTF-8 cannot."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"{AUDIO_FIELD}: larger than the limit of {limit_bytes / 1024 / 1024:g} MiB for a JSON body; "
        "send the file as multipart/form-data."
    )
