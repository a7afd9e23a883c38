"""Meetings: list, read, describe, end, delete.

Source: Vexa v0.9 to v0.12, whose paths and texts are kept.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from app.collector.api import openapi
from app.collector.api.auth import Deleter, Reader, Writer
from app.collector.api.body import read_json
from app.collector.api.errors import ApiError, meeting_id_not_found, meeting_not_found
from app.collector.api.params import (
    Cursor,
    MeetingChoice,
    MeetingNumber,
    NativeId,
    PlatformFilter,
    PlatformName,
    StatusFilter,
)
from app.collector.api.schema import PATCH, MeetingBody, MeetingsBody, MessageBody
from app.collector.api.state import services_of
from app.collector.errors import NotOver
from app.collector.render.bodies import meeting_json
from app.collector.rows import ApiKey, Deletion, MeetingRow
from app.collector.storage import Storage

router = APIRouter(tags=["meetings"])

FIELDS = tuple(PATCH.json_schema()["$defs"]["MeetingData"]["properties"])


@router.get(
    "/meetings",
    summary="List meetings, newest first",
    responses={200: {"model": MeetingsBody}, **openapi.errors()},
)
async def list_meetings(
    *,
    request: Request,
    key: Reader,
    status: StatusFilter = None,
    platform: PlatformFilter = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="Slower than `cursor` in long lists.")] = 0,
    cursor: Cursor = None,
) -> JSONResponse:
    """The meetings of the key's owner."""
    if cursor is not None and offset:
        raise ApiError(422, "offset: it cannot be combined with cursor; send one of them.")
    page = await services_of(request).store.meetings(
        key.owner_id, status=status, platform=platform, limit=limit, offset=offset, cursor=cursor
    )
    meetings = [meeting_json(meeting) for meeting in page.items]
    more = page.next_cursor is not None
    return JSONResponse({"meetings": meetings, "has_more": more, "next_cursor": page.next_cursor})


@router.get(
    "/meetings/{meeting_id}",
    summary="Read a meeting",
    responses={200: {"model": MeetingBody}, **openapi.errors(404)},
)
async def read_meeting(request: Request, key: Reader, meeting_id: MeetingNumber) -> JSONResponse:
    """One meeting, without its transcript."""
    return JSONResponse(meeting_json(await by_number(services_of(request).store, key, meeting_id)))


@router.patch(
    "/meetings/{platform}/{native_id}",
    summary="Describe a meeting",
    responses={200: {"model": MeetingBody}, **openapi.errors(400, 404, 408, 413)},
    openapi_extra=openapi.body("MeetingPatch"),
)
async def patch_meeting(
    *, request: Request, key: Writer, platform: PlatformName, native_id: NativeId, choice: MeetingChoice = None
) -> JSONResponse:
    """Set the name, participants, languages and notes of the room's newest meeting; null removes one."""
    meeting = await in_room(services_of(request).store, key, platform, native_id, choice)
    return await _patch(request, meeting, meeting_not_found(platform, native_id))


@router.patch(
    "/meetings/{meeting_id}",
    summary="Describe a meeting by its number",
    responses={200: {"model": MeetingBody}, **openapi.errors(400, 404, 408, 413)},
    openapi_extra=openapi.body("MeetingPatch"),
)
async def patch_by_number(request: Request, key: Writer, meeting_id: MeetingNumber) -> JSONResponse:
    """The same for one meeting."""
    meeting = await by_number(services_of(request).store, key, meeting_id)
    return await _patch(request, meeting, meeting_id_not_found(meeting_id))


@router.post(
    "/meetings/by-id/{meeting_id}/end",
    summary="End a meeting by its number",
    responses={200: {"model": MeetingBody}, **openapi.errors(404)},
)
async def end_by_number(request: Request, key: Writer, meeting_id: MeetingNumber) -> JSONResponse:
    """Make drafts final and the status `completed`. An ended meeting stays as it is; late speech reopens it."""
    return await _end(request, key, await by_number(services_of(request).store, key, meeting_id))


@router.post(
    "/meetings/{platform}/{native_id}/end",
    summary="End a meeting",
    responses={200: {"model": MeetingBody}, **openapi.errors(404)},
)
async def end_meeting(
    *, request: Request, key: Writer, platform: PlatformName, native_id: NativeId, choice: MeetingChoice = None
) -> JSONResponse:
    """The same for the room's newest meeting."""
    return await _end(request, key, await in_room(services_of(request).store, key, platform, native_id, choice))


@router.delete(
    "/meetings/{platform}/{native_id}",
    summary="Delete a meeting's transcript",
    responses={200: {"model": MessageBody}, **openapi.errors(404, 409)},
)
async def delete_meeting(
    *, request: Request, key: Deleter, platform: PlatformName, native_id: NativeId, choice: MeetingChoice = None
) -> JSONResponse:
    """Delete what was said and who said it, here and in the streams. Deleting it again changes nothing.

    The room's newest meeting is meant, also if it was deleted before: its earlier ones need `meeting_id`.
    """
    services = services_of(request)
    try:
        deletion = await services.store.delete_meeting(
            key.owner_id, platform, native_id, meeting_id=choice, now_ms=services.clock.now_ms()
        )
    except NotOver:
        raise _not_over(await services.store.meeting(key.owner_id, platform, native_id, meeting_id=choice)) from None
    if deletion is None:
        raise meeting_not_found(platform, native_id)
    return await _deleted(request, deletion, f"{platform}/{native_id}")


@router.delete(
    "/meetings/{meeting_id}",
    summary="Delete a transcript by the meeting's number",
    responses={200: {"model": MessageBody}, **openapi.errors(404, 409)},
)
async def delete_by_number(request: Request, key: Deleter, meeting_id: MeetingNumber) -> JSONResponse:
    """The same for one meeting."""
    services = services_of(request)
    try:
        deletion = await services.store.delete_meeting_by_id(key.owner_id, meeting_id, now_ms=services.clock.now_ms())
    except NotOver:
        raise _not_over(await services.store.meeting_by_id(key.owner_id, meeting_id)) from None
    if deletion is None:
        raise meeting_id_not_found(meeting_id)
    return await _deleted(request, deletion, str(meeting_id))


async def _patch(request: Request, meeting: MeetingRow, not_found: ApiError) -> JSONResponse:
    services = services_of(request)
    wanted = await read_json(request, PATCH)
    changes = {name: value for name, value in wanted["data"].items() if name in FIELDS}
    if not changes:
        raise ApiError(400, f"data: nothing to change; it may hold {', '.join(FIELDS)}.")
    try:
        changed = await services.store.patch_meeting(meeting.id, changes, now_ms=services.clock.now_ms())
    except LookupError:  # deleted a moment ago
        raise not_found from None
    return JSONResponse(meeting_json(changed))


async def _end(request: Request, key: ApiKey, meeting: MeetingRow) -> JSONResponse:
    services = services_of(request)
    await services.publish(await services.store.end_meeting(meeting.id, now_ms=services.clock.now_ms()))
    return JSONResponse(meeting_json(await by_number(services.store, key, meeting.id)))


def _not_over(meeting: MeetingRow | None) -> ApiError:
    status = meeting.status if meeting else "active"
    return ApiError(409, f"Meeting not finalized; cannot delete transcripts. Current status: {status}")


async def _deleted(request: Request, deletion: Deletion, named: str) -> JSONResponse:
    await services_of(request).purge(deletion)
    message = f"Meeting {named} transcripts and recording artifacts deleted; meeting data anonymized"
    return JSONResponse({"message": message})


async def in_room(store: Storage, key: ApiKey, platform: str, native_id: str, choice: int | None) -> MeetingRow:
    """The newest meeting of a room, or the one that was chosen.

    Raises:
        ApiError: 404, there is none that was not deleted, or it is another owner's.
    """
    meeting = await store.meeting(key.owner_id, platform, native_id, meeting_id=choice)
    if meeting is None:
        raise meeting_not_found(platform, native_id)
    return meeting


async def by_number(store: Storage, key: ApiKey, meeting_id: int) -> MeetingRow:
    """A meeting by its number.

    Raises:
        ApiError: 404, there is none, it was deleted, or it is another owner's.
    """
    meeting = await store.meeting_by_id(key.owner_id, meeting_id)
    if meeting is None or meeting.native_id is None:
        raise meeting_id_not_found(meeting_id)
    return meeting
