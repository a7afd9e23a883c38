"""Answers with a transcript: whole, a page, or as a file; read from the store page by page, never held as a whole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from app.collector.render.bodies import segment_json, transcript_head_json, transcript_json
from app.collector.render.export import MEDIA_TYPES, Export, ExportFormat, content_disposition
from app.collector.rows import MeetingRow, Page, SegmentRow
from app.collector.storage import Storage

PAGE_ROWS: Final = 500
_HEADERS: Final = {"Vary": "Accept"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which segments of a meeting are wanted.

    Attributes:
        pending: also drafts.
        raw: also segments that another one repeats.
        since_seq: only what changed since, and what is gone.
    """

    pending: bool = False
    raw: bool = False
    since_seq: int | None = None
    limit: int | None = None
    cursor: str | None = None

    async def page(self, store: Storage, meeting_id: int, cursor: str | None, limit: int) -> Page[SegmentRow]:
        """Read one page."""
        return await store.segments(
            meeting_id,
            limit=limit,
            cursor=cursor,
            since_seq=self.since_seq,
            drafts=self.pending,
            hidden=self.raw,
        )


def etag_of(meeting: MeetingRow) -> str:
    """The validator of everything that shows this meeting; it changes with each `seq`."""
    return f'W/"{meeting.id}-{meeting.seq}"'


def not_modified(request: Request, meeting: MeetingRow) -> Response | None:
    """A 304 if the reader has this state already."""
    etag = etag_of(meeting)
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if known & {etag.removeprefix("W/"), "*"}:
        return Response(status_code=304, headers={**_HEADERS, "ETag": etag})
    return None


async def transcript(store: Storage, meeting: MeetingRow, wanted: Selection) -> Response:
    """The meeting with the selected segments.

    The first page is read before the answer begins, so that a database that is away gives a clean refusal.
    """
    headers = {**_HEADERS, "ETag": etag_of(meeting)}
    first = await wanted.page(store, meeting.id, wanted.cursor, wanted.limit or PAGE_ROWS)
    if wanted.limit is not None or first.next_cursor is None:
        return JSONResponse(transcript_json(meeting, first.items, next_cursor=first.next_cursor), headers=headers)
    pieces = _whole(store, meeting, wanted, first)
    return StreamingResponse(pieces, media_type="application/json", headers=headers)


async def exported(store: Storage, meeting: MeetingRow, file_format: ExportFormat, *, raw: bool) -> Response:
    """The meeting's finals as a file."""
    sessions = await store.sessions(meeting.id)
    wanted = Selection(raw=raw)
    first = await wanted.page(store, meeting.id, None, PAGE_ROWS)
    zero_ms = min((session.start_ms for session in sessions), default=None)
    writing = Export(file_format, meeting, zero_ms=zero_ms)
    headers = {**_HEADERS, "ETag": etag_of(meeting), "Content-Disposition": content_disposition(meeting, file_format)}
    pieces = _file(store, meeting, wanted, writing, first)
    return StreamingResponse(pieces, media_type=MEDIA_TYPES[file_format], headers=headers)


async def finals(store: Storage, meeting_id: int) -> Response:
    """A bare list of the finals."""
    first = await Selection().page(store, meeting_id, None, PAGE_ROWS)

    async def pieces() -> AsyncIterator[str]:
        comma = "["
        async for page in _pages(store, meeting_id, Selection(), first):
            if page.items:
                yield comma + _joined(page)
                comma = ","
        yield "[]" if comma == "[" else "]"

    return StreamingResponse(pieces(), media_type="application/json")


async def _whole(store: Storage, meeting: MeetingRow, wanted: Selection, first: Page[SegmentRow]) -> AsyncIterator[str]:
    yield _dump(transcript_head_json(meeting)).removesuffix("}") + ',"segments":['
    comma = ""
    async for page in _pages(store, meeting.id, wanted, first):
        if page.items:
            yield comma + _joined(page)
            comma = ","
    yield '],"next_cursor":null}'


async def _file(
    store: Storage, meeting: MeetingRow, wanted: Selection, writing: Export, first: Page[SegmentRow]
) -> AsyncIterator[str]:
    yield writing.begin()
    async for page in _pages(store, meeting.id, wanted, first):
        yield "".join(writing.page(page.items))
    yield writing.end()


async def _pages(
    store: Storage, meeting_id: int, wanted: Selection, first: Page[SegmentRow]
) -> AsyncIterator[Page[SegmentRow]]:
    page = first
    yield page
    while page.next_cursor is not None:
        page = await wanted.page(store, meeting_id, page.next_cursor, PAGE_ROWS)
        yield page


def _joined(page: Page[SegmentRow]) -> str:
    return ",".join(_dump(segment_json(row)) for row in page.items)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
