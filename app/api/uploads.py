"""Read a request's body into fields and one file, never trusting a header about its size.

Parts stream through python-multipart; a file over 8 MiB waits on disk, not in memory. What the
stock parser of Starlette lacks is here: an exact limit on the file, a `file` part without a
filename (openai-java sends bytes so), and our own errors.
Source: starlette.formparsers.MultiPartParser.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import BinaryIO

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from app.errors import Cancelled, InvalidRequest, TooLarge, UnsupportedContentType

SPOOL_BYTES = 8 * 1024 * 1024
# Texts, boundaries and part headers around the file.
ENVELOPE_BYTES = 8 * 1024 * 1024
MAX_FIELDS = 200
MAX_FIELD_BYTES = 1024 * 1024
FILE_FIELD = "file"


@dataclass(slots=True)
class Upload:
    """A request's body, taken apart. `close` frees the spooled file."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    file: BinaryIO | None = None
    file_bytes: int = 0

    def close(self) -> None:
        """Remove the spooled file; a thread that still reads it sees a closed file."""
        if self.file is not None:
            self.file.close()


class _Parser(MultiPartParser):
    """Starlette's parser with a limit on the file and a file part that needs no filename."""

    spool_max_size = SPOOL_BYTES

    def __init__(self, request: Request, stream: AsyncGenerator[bytes, None], max_file_bytes: int) -> None:
        super().__init__(request.headers, stream, max_files=4, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
        self._max_file_bytes = max_file_bytes
        self._file_bytes = 0

    def on_headers_finished(self) -> None:
        disposition = self._current_part.content_disposition or b""
        unnamed_file = b'name="file"' in disposition or b"name=file" in disposition
        if unnamed_file and b"filename" not in disposition:
            self._current_part.content_disposition = disposition + b'; filename="upload"'
        super().on_headers_finished()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is not None:
            self._file_bytes += end - start
            if self._file_bytes > self._max_file_bytes:
                raise TooLarge(too_large(self._max_file_bytes))
        super().on_part_data(data, start, end)


def too_large(max_file_bytes: int) -> str:
    """Say what the limit is, in a unit people read."""
    return f"file: larger than the limit of {max_file_bytes / 1024 / 1024:g} MiB (MAX_UPLOAD_BYTES={max_file_bytes})."


async def read_upload(request: Request, *, max_file_bytes: int) -> Upload:
    """Read the whole body.

    Cancelling it removes what was spooled.

    Raises:
        UnsupportedContentType: not multipart/form-data, or compressed.
        InvalidRequest: broken.
        TooLarge: the file is larger than `max_file_bytes`.
        Cancelled: the client left while sending.
    """
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if not content_type:
        raise InvalidRequest("file: required; send multipart/form-data with a part named 'file'.", param="file")
    if content_type != "multipart/form-data":
        raise UnsupportedContentType(
            f"Content-Type '{content_type[:100]}' is not supported; send multipart/form-data with a 'file' part."
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedContentType("Content-Encoding is not supported for uploads; send the body as it is.")
    parser = _Parser(request, _counted(request, max_file_bytes + ENVELOPE_BYTES), max_file_bytes)
    try:
        form = await parser.parse()
    except MultiPartException as exc:
        raise InvalidRequest(f"The multipart body is broken: {exc.message}") from exc
    except UnicodeError as exc:
        raise InvalidRequest("The multipart body is broken: a part's header is not text.") from exc
    except ClientDisconnect as exc:
        raise Cancelled("The client left while sending.") from exc
    return _take_apart(form.multi_items())


async def _counted(request: Request, max_body_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_body_bytes:
            raise TooLarge(f"The request body is larger than {max_body_bytes / 1024 / 1024:g} MiB.")
        yield chunk


def _take_apart(items: list[tuple[str, UploadFile | str]]) -> Upload:
    upload = Upload()
    files = [value for name, value in items if name == FILE_FIELD and isinstance(value, UploadFile)]
    upload.fields = [(name, value) for name, value in items if isinstance(value, str)]
    for name, value in items:
        if isinstance(value, UploadFile) and (name != FILE_FIELD or len(files) > 1):
            value.file.close()
    if len(files) > 1:
        raise InvalidRequest("file: sent more than once; send one file per request.", param=FILE_FIELD)
    if files:
        upload.file = files[0].file
        upload.file_bytes = files[0].size or 0
    return upload
