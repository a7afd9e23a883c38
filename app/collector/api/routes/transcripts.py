"""Transcripts: as JSON with paging and changes, and as files.

Source: Vexa v0.9 to v0.12 for the path by room and the body.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.collector.api import openapi
from app.collector.api.answers import Selection, exported, not_modified, transcript
from app.collector.api.auth import Reader
from app.collector.api.errors import ApiError
from app.collector.api.negotiation import asked_file
from app.collector.api.params import (
    MAX_SEQ,
    Cursor,
    FormatChoice,
    MeetingChoice,
    MeetingNumber,
    NativeId,
    PlatformName,
)
from app.collector.api.routes.meetings import by_number, in_room
from app.collector.api.schema import TranscriptBody
from app.collector.api.state import services_of
from app.collector.rows import MeetingRow
from app.collector.storage import Storage

router = APIRouter(tags=["transcripts"])

Pending = Annotated[bool, Query(description="Also drafts: segments with `completed` false.")]
Raw = Annotated[bool, Query(description="Also segments that another one repeats.")]
PageLimit = Annotated[int | None, Query(ge=1, le=1000, description="Segments of a page; all of them without it.")]
Since = Annotated[
    int | None,
    Query(ge=0, le=MAX_SEQ, description="Only what changed after this `seq`; `deleted` segments are to be removed."),
]


def selection(
    *,
    pending: Pending = False,
    raw: Raw = False,
    limit: PageLimit = None,
    cursor: Cursor = None,
    since_seq: Since = None,
) -> Selection:
    """What the query of a request selects."""
    return Selection(pending=pending, raw=raw, since_seq=since_seq, limit=limit, cursor=cursor)


Wanted = Annotated[Selection, Depends(selection)]


@router.get(
    "/transcripts/by-id/{meeting_id}",
    summary="Read a transcript by the meeting's number",
    responses=openapi.transcript(TranscriptBody),
)
async def read_by_id(
    *,
    request: Request,
    key: Reader,
    meeting_id: MeetingNumber,
    file_format: FormatChoice = None,
    wanted: Wanted,
) -> Response:
    """The transcript of one meeting. With `If-None-Match` an unchanged one is a 304."""
    store = services_of(request).store
    meeting = await by_number(store, key, meeting_id)
    return await _answer(request, store, meeting, wanted, file_format)


@router.get(
    "/transcripts/{platform}/{native_id}",
    summary="Read the transcript of a room's newest meeting",
    responses=openapi.transcript(TranscriptBody),
)
async def read_by_room(
    *,
    request: Request,
    key: Reader,
    platform: PlatformName,
    native_id: NativeId,
    choice: MeetingChoice = None,
    file_format: FormatChoice = None,
    wanted: Wanted,
) -> Response:
    """The transcript of a meeting. With `If-None-Match` an unchanged one is a 304."""
    store = services_of(request).store
    meeting = await in_room(store, key, platform, native_id, choice)
    return await _answer(request, store, meeting, wanted, file_format)


async def _answer(
    request: Request, store: Storage, meeting: MeetingRow, wanted: Selection, file_format: FormatChoice
) -> Response:
    unchanged = not_modified(request, meeting)
    if unchanged is not None:
        return unchanged
    asked = file_format or asked_file(request.headers.get("accept", ""))
    if asked is None:
        return await transcript(store, meeting, wanted)
    if wanted != Selection(raw=wanted.raw):
        reason = "a file holds the whole transcript; leave out pending, limit, cursor and since_seq"
        raise ApiError(422, f"format: {reason}.")
    return await exported(store, meeting, asked, raw=wanted.raw)
