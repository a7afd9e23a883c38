"""For other services of the same operator: Vexa's gateway asks who may follow what, others read transcripts.

Source: Vexa v0.9 to v0.12.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app.collector.api import openapi
from app.collector.api.answers import finals
from app.collector.api.auth import Reader, is_internal
from app.collector.api.body import read_json
from app.collector.api.errors import meeting_id_not_found
from app.collector.api.params import MeetingNumber
from app.collector.api.schema import NATIVE_ID, PLATFORM, WANTED, AuthorizedBody, SegmentBody, WantedMeeting
from app.collector.api.state import services_of
from app.collector.rows import MeetingRow
from app.collector.storage import Storage

router = APIRouter(tags=["for other services"])


@router.post(
    "/ws/authorize-subscribe",
    summary="Which of these meetings may the key's owner follow?",
    responses={200: {"model": AuthorizedBody}, **openapi.errors(408, 413)},
    openapi_extra=openapi.body("WantedMeetings"),
)
async def authorize_subscribe(request: Request, key: Reader) -> JSONResponse:
    """The numbers of the newest meetings of these rooms; the others are listed under `errors`."""
    wanted = await read_json(request, WANTED)
    authorized: list[dict[str, str]] = []
    errors: list[str] = []
    for number, each in enumerate(wanted["meetings"]):
        meeting = await find_wanted(services_of(request).store, key.owner_id, each)
        if meeting is None or meeting.native_id is None:
            errors.append(f"meetings[{number}] not authorized or not found for user")
        else:
            authorized.append(
                {
                    "platform": meeting.platform,
                    "native_id": meeting.native_id,
                    "user_id": str(key.owner_id),
                    "meeting_id": str(meeting.id),
                }
            )
    body: dict[str, Any] = {"authorized": authorized, "errors": errors, "user_id": key.owner_id}
    return JSONResponse(body)


async def find_wanted(store: Storage, owner_id: int, wanted: WantedMeeting) -> MeetingRow | None:
    """The newest meeting of a room; None also if the room's name cannot be one."""
    try:
        platform = PLATFORM.validate_python(wanted["platform"])
        native_id = NATIVE_ID.validate_python(wanted["native_meeting_id"])
    except ValidationError:
        return None
    return await store.meeting(owner_id, platform, native_id)


@router.get(
    "/internal/transcripts/{meeting_id}",
    summary="The final segments of any owner's meeting",
    responses={200: {"model": list[SegmentBody]}, **openapi.errors(404)},
)
async def read_internal(request: Request, meeting_id: MeetingNumber) -> Response:
    """A bare list. Without the right `X-Internal-Secret` this address does not exist."""
    services = services_of(request)
    if not is_internal(request, services.options):
        raise HTTPException(404)
    if meeting_id not in await services.store.seqs([meeting_id]):
        raise meeting_id_not_found(meeting_id)
    return await finals(services.store, meeting_id)
