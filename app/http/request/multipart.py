"""Read a multipart body into fields and one file, whatever its headers announce about its size.

Parts stream through python-multipart; a file above 8 MiB goes to disk. Everything is bounded: the file,
each field, all fields, the number of parts. The part named `file` is the file, with or without a filename
(openai-java sends bytes without one), and filenames are never used.
Source: RFC 7578; starlette.formparsers, which limits neither the file nor the sum of the fields.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import UploadFile
from starlette.requests import Request

from app.core.errors import InvalidRequest, StorageFull, TooLarge, UnsupportedContentType
from app.http.request.receive import Share, chunks_of

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for type checkers only

log = logging.getLogger("app.http")

STORAGE_RETRY_S = 5  # other uploads free their space within seconds
SPOOL_BYTES = 8 * 1024 * 1024
# Fields, boundaries and part headers beside the file; four reference recordings of speakers take 10 MiB.
ENVELOPE_BYTES = 16 * 1024 * 1024
MAX_PARTS = 200
MAX_FIELD_BYTES = 512 * 1024
MAX_FIELDS_BYTES = 4 * 1024 * 1024
# Filenames of 10 kB exist; the parser's own limit is 4 kB.
MAX_PART_HEADER_BYTES = 32 * 1024
# Text before the first boundary, as mail software writes it.
MAX_PREAMBLE_BYTES = 8 * 1024
FILE_FIELD = "file"
# Names and recordings of speakers are accepted and ignored, whatever their size: diarization is not supported.
IGNORED_PREFIX = "known_speaker_"


@dataclass(slots=True)
class Upload:
    """A parsed body. `close` removes the spooled file."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    file: BinaryIO | None = None
    file_bytes: int = 0

    def close(self) -> None:
        """Remove the spooled file; a thread that still reads it sees a closed file."""
        if self.file is not None:
            self.file.close()


async def read_upload(request: Request, *, max_file_bytes: int, share: Share) -> Upload:
    """Read the whole body.

    Cancelling it removes what was spooled.

    Args:
        request: with a multipart body.
        max_file_bytes: the largest file.
        share: what this upload holds of the budget of all uploads.
    Raises:
        UnsupportedContentType: not multipart/form-data.
        InvalidRequest: the body is malformed.
        TooLarge: the file is larger than `max_file_bytes`.
        StorageFull: the disk has no room for it.
        UploadStalled, Overloaded, Cancelled: as `chunks_of` and `Share.hold`.
    """
    parts = _Parts(max_file_bytes)
    try:
        boundary = _boundary(request)
        parser = MultipartParser(boundary, parts.callbacks(), max_header_size=MAX_PART_HEADER_BYTES)
        chunks = chunks_of(request, max_body_bytes=max_file_bytes + ENVELOPE_BYTES, limits=share.limits)
        async for chunk in _without_preamble(chunks, boundary):
            parser.write(chunk)
            await parts.spool()
            share.hold(parts.in_memory_bytes)
        return await parts.take()
    except FormParserError as exc:
        parts.upload.close()
        raise InvalidRequest("The multipart body is malformed; let an HTTP library build it.") from exc
    except OSError as exc:
        parts.upload.close()
        log.exception("storing an upload failed")
        raise StorageFull(
            "The server has no space for this upload at the moment. Retry shortly.", retry_after_s=STORAGE_RETRY_S
        ) from exc
    except BaseException:
        parts.upload.close()
        raise


def too_large(max_file_bytes: int) -> str:
    """The error message for a file above the limit."""
    return f"file: larger than the limit of {max_file_bytes / 1024 / 1024:g} MiB (MAX_UPLOAD_BYTES={max_file_bytes})."


class _Parts:
    """Collects what python-multipart finds; `spool` writes the file, on a thread once it is large."""

    def __init__(self, max_file_bytes: int) -> None:
        self.upload = Upload()
        self._max_file_bytes = max_file_bytes
        self._file: UploadFile | None = None
        self._unwritten: list[bytes] = []
        self._n_parts = self._fields_bytes = 0
        self._ended = False
        self._header_name, self._header_value, self._disposition = bytearray(), bytearray(), b""
        self._name = ""
        self._text: bytearray | None = None  # None: this part is not a field

    def callbacks(self) -> MultipartCallbacks:
        """The callbacks of the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._enter,
            "on_part_data": self._receive,
            "on_part_end": self._end,
            "on_end": self._close,
        }

    @property
    def in_memory_bytes(self) -> int:
        """What this upload holds in memory: its fields, and its file until it goes to disk."""
        file_bytes = self.upload.file_bytes
        return self._fields_bytes + (file_bytes if file_bytes <= SPOOL_BYTES else 0)

    async def spool(self) -> None:
        """Write what has arrived of the file; above 8 MiB to disk, on a thread."""
        if self._file is not None and self._unwritten:
            data = b"".join(self._unwritten)
            self._unwritten.clear()
            await self._file.write(data)

    async def take(self) -> Upload:
        """The whole upload, its file at its start.

        Raises:
            InvalidRequest: the last boundary is missing.
        """
        if not self._ended:
            raise InvalidRequest("The multipart body ends before its last boundary; send it again completely.")
        if self._file is not None:
            await self._file.seek(0)
        return self.upload

    def _begin(self) -> None:
        self._disposition, self._text = b"", None
        self._n_parts += 1
        if self._n_parts > MAX_PARTS:
            raise InvalidRequest(f"The multipart body has more than {MAX_PARTS} parts.")

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _enter(self) -> None:
        _, parameters = parse_options_header(self._disposition)
        if b"name" not in parameters:
            raise InvalidRequest("The multipart body is malformed: a part has no name.")
        self._name = _decode(parameters[b"name"])
        if self._name == FILE_FIELD:
            self._open_file()
        elif b"filename" not in parameters and not self._name.startswith(IGNORED_PREFIX):  # other files are ignored
            self._text = bytearray()

    def _open_file(self) -> None:
        if self._file is not None:
            raise InvalidRequest("file: sent more than once; send one file per request.", param=FILE_FIELD)
        self.upload.file = cast("BinaryIO", SpooledTemporaryFile(max_size=SPOOL_BYTES))  # noqa: SIM115 - Upload.close
        self._file = UploadFile(self.upload.file, size=0)

    def _receive(self, data: bytes, start: int, end: int) -> None:
        if self._text is not None:
            self._receive_text(data[start:end])
        elif self._name == FILE_FIELD:
            self.upload.file_bytes += end - start
            if self.upload.file_bytes > self._max_file_bytes:
                raise TooLarge(too_large(self._max_file_bytes))
            self._unwritten.append(data[start:end])

    def _receive_text(self, piece: bytes) -> None:
        assert self._text is not None  # noqa: S101 - the caller looked
        self._text += piece
        self._fields_bytes += len(piece)
        if len(self._text) > MAX_FIELD_BYTES or self._fields_bytes > MAX_FIELDS_BYTES:
            shown = self._name[:60]
            limits = f"{MAX_FIELD_BYTES // 1024} KiB for one field, {MAX_FIELDS_BYTES // 1024} KiB for all"
            raise InvalidRequest(f"{shown}: too long; the limits are {limits}.", param=shown)

    def _end(self) -> None:
        if self._text is not None:
            self.upload.fields.append((self._name, _decode(bytes(self._text))))

    def _close(self) -> None:
        self._ended = True


def _boundary(request: Request) -> bytes:
    """Check that the body is plain multipart; give its boundary."""
    content_type = request.headers.get("content-type", "")
    kind, parameters = parse_options_header(content_type)
    if not kind:
        raise InvalidRequest("file: required; send multipart/form-data with a part named 'file'.", param=FILE_FIELD)
    if kind != b"multipart/form-data":
        raise UnsupportedContentType(
            f"Content-Type '{content_type[:100]}' is not supported; send multipart/form-data with a 'file' part, "
            "or application/json with 'input_audio'."
        )
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise InvalidRequest("Content-Type: multipart/form-data needs a boundary; let an HTTP library build it.")
    return boundary


async def _without_preamble(chunks: AsyncGenerator[bytes, None], boundary: bytes) -> AsyncGenerator[bytes, None]:
    """The body from its first boundary on: RFC 2046, 5.1.1 allows text before it, the parser does not."""
    delimiter = b"\r\n--" + boundary
    limit = MAX_PREAMBLE_BYTES + len(delimiter)
    head: bytearray | None = bytearray(b"\r\n")  # so that a boundary at the start is found like any other
    async for chunk in chunks:
        if head is None:
            yield chunk
            continue
        searched = max(len(head) - len(delimiter), 0)
        head += chunk
        at = head.find(delimiter, searched, limit)
        if at >= 0 or len(head) > limit:  # too long: the parser reports what is wrong
            yield bytes(head[max(at, 0) + 2 :])
            head = None
    if head is not None:
        yield bytes(head[2:])


def _decode(raw: bytes) -> str:
    """Decode UTF-8, else Latin-1, in which every byte is valid."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
