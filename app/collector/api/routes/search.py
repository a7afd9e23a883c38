"""Search in everything that was said."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from app.collector.api import openapi
from app.collector.api.auth import Reader
from app.collector.api.errors import ApiError, invalid
from app.collector.api.params import Cursor, Moment, PlatformFilter, SpeakerFilter, Words, unix_ms
from app.collector.api.schema import SearchBody
from app.collector.api.state import services_of
from app.collector.render.bodies import meeting_json, segment_json

router = APIRouter(tags=["search"])


@router.get("/search", summary="Search what was said", responses={200: {"model": SearchBody}, **openapi.errors()})
async def search(
    *,
    request: Request,
    key: Reader,
    query: Words,
    platform: PlatformFilter = None,
    since: Annotated[Moment, Query(alias="from")] = None,
    until: Annotated[Moment, Query(alias="to")] = None,
    speaker: SpeakerFilter = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> JSONResponse:
    """Segments with all words of `q`, in the meetings of the key's owner."""
    if not query.strip():
        raise invalid("q", query, "holds no word")
    from_ms, to_ms = unix_ms("from", since), unix_ms("to", until)
    if from_ms is not None and to_ms is not None and from_ms > to_ms:
        raise ApiError(422, f"from: '{since}' is later than to='{until}'; exchange them.")
    page = await services_of(request).store.search(
        key.owner_id,
        query,
        platform=platform,
        from_ms=from_ms,
        to_ms=to_ms,
        speaker=speaker,
        limit=limit,
        cursor=cursor,
    )
    hits = [
        {"meeting": meeting_json(hit.meeting), "segment": segment_json(hit.segment), "snippet": hit.snippet}
        for hit in page.items
    ]
    return JSONResponse({"hits": hits, "next_cursor": page.next_cursor})
