from __future__ import annotations

import asyncio

import pytest

from app.core.errors import InvalidRequest, UnsupportedContentType
from app.http.request.body import read_body
from app.http.request.receive import UploadBudget
from tests.clients import FILE_PART, MODEL_PART, body_of
from tests.http.request.test_multipart import request


async def test_multipart_and_json_give_the_same_upload():
    """Both content types give the same upload."""
    form = await read_body(
        request(body_of(MODEL_PART, FILE_PART)),
        max_file_bytes=1 << 20,
        budget=UploadBudget(),
        turn=asyncio.Semaphore(1),
    )
    raw = b'{"model":"whisper-1","input_audio":{"data":"UklGRg=="}}'
    json_body = await read_body(
        request(raw, content_type=b"Application/JSON; charset=utf-8"),
        max_file_bytes=1 << 20,
        budget=UploadBudget(),
        turn=asyncio.Semaphore(1),
    )
    assert form.fields == json_body.fields == [("model", "whisper-1")]
    assert json_body.file is not None
    assert json_body.file.read() == b"RIFF"
    form.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-unknown", "gzip, identity"])
@pytest.mark.parametrize("content_type", [b"multipart/form-data; boundary=x", b"application/json"])
async def test_compressed_body_is_never_inflated(encoding: str, content_type: bytes):
    """A compressed body is refused by its Content-Encoding, unread."""
    with pytest.raises(UnsupportedContentType):
        await read_body(
            request(b"\x1f\x8b" * 1000, content_type=content_type, content_encoding=encoding),
            max_file_bytes=1 << 20,
            budget=UploadBudget(),
            turn=asyncio.Semaphore(1),
        )


@pytest.mark.parametrize("content_type", [b"text/plain", b"application/x-www-form-urlencoded", b"audio/wav", b"json"])
async def test_other_types_name_both_that_are_read(content_type: bytes):
    """415 with the remedy."""
    with pytest.raises(UnsupportedContentType, match=r"multipart/form-data.*application/json"):
        await read_body(
            request(b"x", content_type=content_type),
            max_file_bytes=1 << 20,
            budget=UploadBudget(),
            turn=asyncio.Semaphore(1),
        )


async def test_no_type_at_all_names_the_missing_file():
    """A POST without a body gets an error that says what to send."""
    with pytest.raises(InvalidRequest, match="file: required"):
        await read_body(
            request(b"", content_type=None), max_file_bytes=1 << 20, budget=UploadBudget(), turn=asyncio.Semaphore(1)
        )
