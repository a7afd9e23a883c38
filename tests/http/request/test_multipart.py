from __future__ import annotations

import asyncio
import errno
from contextlib import closing
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from app.core.errors import Cancelled, InvalidRequest, StorageFull, TooLarge, TranscriptionError, UnsupportedContentType
from app.http.request import multipart as uploads
from app.http.request.multipart import MAX_FIELD_BYTES, MAX_FIELDS_BYTES, MAX_PARTS, Upload, read_upload
from app.http.request.receive import Share, UploadBudget
from tests.clients import BOUNDARY, FILE_PART, MODEL_PART, MULTIPART, body_of, part

FILE = b"\x00\xff RIFF" * 100


def request(*chunks: bytes, content_type: bytes | None = MULTIPART, **headers: str) -> Request:
    """A request whose body arrives in these chunks; None as the last one: the client hangs up."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    raw = [(key.replace("_", "-").encode(), value.encode("latin-1")) for key, value in headers.items()]
    if content_type is not None:
        raw.append((b"content-type", content_type))
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw}
    return Request(scope, receiver(messages))


def receiver(messages: list[Message]) -> Any:
    """An ASGI `receive` that hands these out."""

    async def receive() -> Message:
        return messages.pop(0)

    return receive


async def read(*parts: bytes, limit: int = 1 << 20) -> Upload:
    """Read a well-formed body of these parts."""
    return await read_upload(request(body_of(*parts)), max_file_bytes=limit, share=Share(UploadBudget()))


async def refused(made: Request, *, limit: int = 1 << 20) -> TranscriptionError:
    """The error that reading makes."""
    with pytest.raises(TranscriptionError) as error:
        await read_upload(made, max_file_bytes=limit, share=Share(UploadBudget()))
    return error.value


@pytest.mark.parametrize("file_first", [True, False])
async def test_fields_and_file_in_any_order(file_first: bool):  # noqa: FBT001 - both orders
    """The order of the parts does not matter: SDKs send the file last, Vexa first."""
    parts = [part('name="file"; filename="a.wav"', FILE), MODEL_PART, part('name="language"', "de")]
    with closing(await read(*(parts if file_first else reversed(parts)))) as upload:
        assert dict(upload.fields) == {"model": "whisper-1", "language": "de"}
        assert upload.file is not None
        assert upload.file.read() == FILE
        assert upload.file_bytes == len(FILE)


@pytest.mark.parametrize("size", [1, 2, 7, 64])
async def test_body_in_tiny_chunks(size: int):
    """Boundaries and headers may be split between chunks at any byte."""
    body = body_of(FILE_PART[:0] + part('name="file"; filename="a.wav"', FILE), MODEL_PART)
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    with closing(await read_upload(request(*chunks), max_file_bytes=1 << 20, share=Share(UploadBudget()))) as upload:
        assert upload.file is not None
        assert upload.file.read() == FILE
        assert upload.fields == [("model", "whisper-1")]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "preamble",
    [b"\r\n", b"This is a multi-part message in MIME format.\r\n", b"-\r\n--not-it\r\n\r\n", b"x" * 8000 + b"\r\n"],
)
async def test_text_before_the_first_boundary_is_ignored(preamble: bytes, size: int):
    """A preamble, as RFC 2046 allows, in chunks of any size."""
    body = preamble + body_of(MODEL_PART, part('name="file"', FILE))
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    with closing(await read_upload(request(*chunks), max_file_bytes=1 << 20, share=Share(UploadBudget()))) as upload:
        assert upload.fields == [("model", "whisper-1")]
        assert upload.file is not None
        assert upload.file.read() == FILE


@pytest.mark.parametrize("body", [b"x" * 8_200 + b"\r\n" + body_of(MODEL_PART), b"x" * 100, b"\r\n\r\n"])
async def test_a_body_without_its_boundary_near_the_start_is_broken(body: bytes):
    """Too much text before the first boundary, or no boundary, is an error."""
    assert isinstance(await refused(request(body)), InvalidRequest)


@pytest.mark.parametrize(
    "disposition",
    [
        'name="file"',
        "name=file",
        'name="file"; filename=""',
        'name="file"; filename="../../etc/passwd"',
        'name="file"; filename="C:\\\\secret\\\\a.wav"',
        'name="file"; filename="' + "n" * 10_000 + '.wav"',
        'name="file"; filename="🎤 ünïcode\u202e.wav"',
        'name="file"; filename="quo\\"te.wav"',
        "name=\"file\"; filename*=UTF-8''%f0%9f%8e%a4.wav",
        'filename="a.wav"; name="file"; filename*=UTF-8\'\'b.wav',
        'NAME="file"; FILENAME="a.wav"',
        b'name="file"; filename="\xff\xfe.wav"',
    ],
)
async def test_file_by_its_field_name_whatever_its_filename(disposition: str | bytes):
    """The part named `file` is the file, with any filename or none."""
    with closing(await read(MODEL_PART, part(disposition, FILE))) as upload:
        assert upload.file is not None
        assert upload.file.read() == FILE


async def test_nul_in_a_filename_is_refused_or_ignored():
    """A NUL is not allowed in a header: the result is an error of this service, or the file."""
    try:
        upload = await read(part(b'name="file"; filename="a\x00.wav"', FILE))
    except InvalidRequest as error:
        assert error.message.isprintable()  # noqa: PT017 - either outcome is right
    else:
        upload.close()


async def test_file_without_headers_of_its_own_or_with_odd_ones():
    """The Content-Type and encoding headers of a part are ignored."""
    odd = part('name="file"; filename="a"', FILE, "Content-Type: text/html", "Content-Transfer-Encoding: base64")
    with closing(await read(odd)) as upload:
        assert upload.file is not None
        assert upload.file.read() == FILE


async def test_other_files_are_ignored():
    """A file in an unknown field is ignored: neither kept nor an error."""
    with closing(await read(part('name="cover"; filename="c.png"', b"png"), MODEL_PART)) as upload:
        assert upload.file is None
        assert upload.fields == [("model", "whisper-1")]


async def test_two_files_are_an_error():
    """Two files in one request are an error."""
    error = await refused(request(body_of(FILE_PART, FILE_PART)))
    assert isinstance(error, InvalidRequest)
    assert error.param == "file"
    assert "more than once" in error.message


async def test_file_at_the_limit_and_one_byte_over():
    """Exactly MAX_UPLOAD_BYTES is accepted; one byte more is TooLarge, with the limit in the message."""
    with closing(await read(part('name="file"', FILE), limit=len(FILE))) as upload:
        assert upload.file_bytes == len(FILE)
    error = await refused(request(body_of(part('name="file"', FILE))), limit=len(FILE) - 1)
    assert isinstance(error, TooLarge)
    assert f"MAX_UPLOAD_BYTES={len(FILE) - 1}" in error.message


async def test_too_large_is_noticed_before_the_rest_arrives():
    """A body without a Content-Length is refused at the limit."""
    piece = b"x" * 65536
    messages: list[Message] = [{"type": "http.request", "body": part('name="file"', b""), "more_body": True}]
    head = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in (head, *[piece] * 1000)]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", MULTIPART)]}
    error = await refused(Request(scope, receiver(messages)), limit=100_000)
    assert isinstance(error, TooLarge)
    assert len(messages) > 990


async def test_body_around_the_file_is_bounded_too(monkeypatch: pytest.MonkeyPatch):
    """Bytes outside the file, before the first boundary or in other files, are limited too."""
    monkeypatch.setattr(uploads, "ENVELOPE_BYTES", 1000)
    error = await refused(request(body_of(part('name="x"; filename="x"', b"x" * 3000))), limit=1000)
    assert isinstance(error, TooLarge)


async def test_too_many_parts():
    """More parts than any real request has are refused."""
    error = await refused(request(body_of(*(part(f'name="f{n}"', "x") for n in range(1001)))))
    assert isinstance(error, InvalidRequest)
    assert str(MAX_PARTS) in error.message
    files = [part(f'name="f{n}"; filename="x"', "x") for n in range(1001)]
    assert isinstance(await refused(request(body_of(*files))), InvalidRequest)


async def test_long_field_is_refused_by_name():
    """A field above 512 KiB is an error that shows its name but not its value."""
    with closing(await read(part('name="prompt"', "x" * MAX_FIELD_BYTES))) as upload:
        assert len(upload.fields[0][1]) == MAX_FIELD_BYTES
    error = await refused(request(body_of(part('name="prompt"', "x" * (MAX_FIELD_BYTES + 1)))))
    assert isinstance(error, InvalidRequest)
    assert error.param == "prompt"
    assert len(error.message) < 200


async def test_many_long_fields_together_are_bounded():
    """The sum of all fields is limited."""
    fields = [part(f'name="f{n}"', "x" * MAX_FIELD_BYTES) for n in range(MAX_FIELDS_BYTES // MAX_FIELD_BYTES + 1)]
    assert isinstance(await refused(request(body_of(*fields))), InvalidRequest)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (None, InvalidRequest),
        (b"", InvalidRequest),
        (b"application/json", UnsupportedContentType),
        (b"application/x-www-form-urlencoded", UnsupportedContentType),
        (b"audio/wav", UnsupportedContentType),
        (b"multipart/mixed; boundary=x", UnsupportedContentType),
        (b"\xff\xfe" * 1000, UnsupportedContentType),
        (b"multipart/form-data", InvalidRequest),
        (b"multipart/form-data; boundary", InvalidRequest),
        (b"multipart/form-data; boundary=", InvalidRequest),
        (b'multipart/form-data; boundary=""', InvalidRequest),
        (b"multipart/form-data; boundary=" + b"x" * 257, InvalidRequest),
        (b"multipart/form-data; boundary=another", InvalidRequest),
        (b"multipart/form-data; boundary=\xff\xfe", InvalidRequest),
    ],
)
async def test_wrong_content_types(content_type: bytes | None, kind: type[TranscriptionError]):
    """A missing or wrong content type or boundary is an error."""
    error = await refused(request(body_of(FILE_PART, MODEL_PART), content_type=content_type))
    assert type(error) is kind
    assert len(error.message) < 300


@pytest.mark.parametrize("charset", ["utf-16", "unicode_escape", "utf-7", "rot13", "hex", "idna", "x" * 1000, "\x00"])
async def test_charset_of_the_request_is_not_believed(charset: str):
    """A charset in the request or a part is ignored: form data is UTF-8."""
    made = request(
        body_of(part('name="prompt"', "\\ud800 +2AA- \\d ü"), FILE_PART),
        content_type=MULTIPART + f'; charset="{charset}"'.encode(),
    )
    with closing(await read_upload(made, max_file_bytes=1 << 20, share=Share(UploadBudget()))) as upload:
        assert upload.fields == [("prompt", "\\ud800 +2AA- \\d ü")]


async def test_field_that_is_not_utf8_is_read_as_latin1():
    """Bytes that are not UTF-8 are read as Latin-1 and never fail."""
    with closing(await read(part('name="prompt"', b"\xed\xa0\x80 caf\xe9"), part(b'name="\xff"', "x"))) as upload:
        assert upload.fields == [("prompt", "\xed\xa0\x80 café"), ("\xff", "x")]
        for name, value in upload.fields:
            (name + value).encode()


async def test_recordings_of_speakers_are_ignored():
    """Recordings of speakers, megabytes of data URLs, are accepted and ignored."""
    voice = "data:audio/wav;base64," + "A" * (2 * MAX_FIELD_BYTES)
    voices = [part('name="known_speaker_references[]"', voice) for _ in range(4)]
    names = part('name="known_speaker_names[]"', "Anna")
    with closing(await read(*voices, names, MODEL_PART, FILE_PART)) as upload:
        assert upload.fields == [("model", "whisper-1")]
        assert upload.file_bytes > 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"--" + BOUNDARY,
        b"--" + BOUNDARY + b"\r\n",
        b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="file"\r\n\r\nRIFF',
        FILE_PART,
        MODEL_PART + FILE_PART,
        body_of(FILE_PART, MODEL_PART)[:-4],
        body_of(b"--" + BOUNDARY + b"\r\n\r\nno headers\r\n"),
        body_of(b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data\r\n\r\nno name\r\n"),
        body_of(b"--" + BOUNDARY + b"\r\nContent Disposition form-data\r\n\r\nx\r\n"),
        body_of(b"--" + BOUNDARY + b"\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\nx\r\n"),
        body_of(b"--" + BOUNDARY + b"\r\n" + b"X: y\r\n" * 100 + b"\r\nx\r\n"),
    ],
    ids=lambda body: f"{len(body)} bytes",
)
async def test_broken_bodies(body: bytes):
    """Every malformed body is an InvalidRequest with a message of this service, not the parser's."""
    error = await refused(request(body))
    assert type(error) is InvalidRequest
    assert "multipart body" in error.message


async def test_data_after_the_last_boundary_is_ignored():
    """Text after the last boundary is ignored, as RFC 2046 allows."""
    made = request(body_of(FILE_PART, MODEL_PART) + b"epilogue" * 100)
    with closing(await read_upload(made, max_file_bytes=1 << 20, share=Share(UploadBudget()))) as upload:
        assert upload.fields == [("model", "whisper-1")]


async def test_client_that_leaves_while_sending_is_cancelled():
    """Half a body and a disconnect: Cancelled, and the spooled file is closed."""
    messages: list[Message] = [
        {"type": "http.request", "body": FILE_PART, "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", MULTIPART)]}
    assert isinstance(await refused(Request(scope, receiver(messages))), Cancelled)


@pytest.mark.parametrize("outcome", ["error", "cancelled", "too large"])
async def test_spooled_file_is_gone_after_any_failure(monkeypatch: pytest.MonkeyPatch, outcome: str):
    """A large upload that fails leaves no open file behind."""
    monkeypatch.setattr(uploads, "SPOOL_BYTES", 10)
    upload = Upload()
    monkeypatch.setattr(uploads, "Upload", lambda: upload)
    chunks = [part('name="file"; filename="a"', FILE)]
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        if outcome == "cancelled":
            await asyncio.sleep(60)
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", MULTIPART)]}
    limit = 100 if outcome == "too large" else 1 << 20
    task = asyncio.create_task(read_upload(Request(scope, receive), max_file_bytes=limit, share=Share(UploadBudget())))
    await asyncio.sleep(0.05)
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(
        result, {"error": InvalidRequest, "cancelled": asyncio.CancelledError, "too large": TooLarge}[outcome]
    )
    assert upload.file is not None
    assert upload.file.closed


async def test_large_file_waits_on_disk(monkeypatch: pytest.MonkeyPatch):
    """Above the spool size the file is in an unnamed temporary file, and complete."""
    monkeypatch.setattr(uploads, "SPOOL_BYTES", 1000)
    data = bytes(range(256)) * 1000
    with closing(await read(part('name="file"; filename="a"', data))) as upload:
        assert upload.file is not None
        assert upload.file.__dict__["_rolled"]
        assert upload.file.read() == data
    assert upload.file.closed


async def test_a_full_disk_is_a_503(monkeypatch: pytest.MonkeyPatch):
    """A full disk is a 503 with Retry-After, not a 500."""

    async def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("app.http.request.multipart.UploadFile.write", full)
    error = await refused(request(body_of(FILE_PART, MODEL_PART)))
    assert isinstance(error, StorageFull)
    assert error.retry_after_s > 0
