"""A meeting's transcript as server-sent events, from where the client was."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.collector.api import openapi
from app.collector.api.auth import identify, require_scope
from app.collector.api.errors import ApiError
from app.collector.api.params import MAX_SEQ, MeetingChoice, NativeId, PlatformName
from app.collector.api.state import live_of, services_of
from app.collector.live.service import Live
from app.collector.live.socket_protocol import RETRY_AFTER_S
from app.collector.live.sse import HEAD, KEEPALIVE, KEEPALIVE_S, event, read_last_event_id
from app.collector.live.subscription import LiveClient
from app.collector.live.view import View
from app.collector.rows import MeetingRow

router = APIRouter(tags=["live"])

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get(
    "/transcripts/{platform}/{native_meeting_id}/stream",
    summary="A transcript as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **openapi.errors(404)},
)
async def stream(
    request: Request,
    platform: PlatformName,
    native_meeting_id: NativeId,
    *,
    meeting_id: MeetingChoice = None,
    since_seq: Annotated[int, Query(ge=0, le=MAX_SEQ, description="What you have; 0: nothing.")] = 0,
    last_event_id: Annotated[str | None, Header(description="As browsers send it when they reconnect.")] = None,
) -> StreamingResponse:
    """Events `transcript`, `retract` and `status`, whose data are the frames of the WebSocket.

    The id of an event is `{meeting}-{seq}`: a client that reconnects with `Last-Event-ID` goes on with that meeting
    and misses nothing. The key may be given as `?api_key=`.
    """
    services = services_of(request)
    key = require_scope(await identify(request, services, in_query=True), "read")
    resumed = read_last_event_id(last_event_id)
    if resumed is not None:
        meeting_id, since_seq = resumed
    meeting = await services.store.meeting(key.owner_id, platform, native_meeting_id, meeting_id=meeting_id)
    if meeting is None:
        raise ApiError(
            404,
            f"Meeting not found for platform {platform} and ID {native_meeting_id}",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )

    def gone(_: View) -> None:
        client.close()

    client = LiveClient(
        services,
        kind="sse",
        owner_id=key.owner_id,
        encode=event,
        gone=gone,
        keepalive=(KEEPALIVE_S, KEEPALIVE),
    )
    return _EventStream(live_of(request), client, meeting, since_seq)


class _EventStream(StreamingResponse):
    """The events of one client.

    The client is released out here: inside, the framework cancels every await once the connection is lost.
    """

    def __init__(self, live: Live, client: LiveClient, meeting: MeetingRow, since_seq: int) -> None:
        self._live = live
        self._client = client
        self._meeting = meeting
        self._since_seq = since_seq
        self._events = self._write()
        super().__init__(self._events, media_type="text/event-stream", headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._live.connected(self._client), contextlib.aclosing(self._events):
            await super().__call__(scope, receive, send)

    async def _write(self) -> AsyncGenerator[str, None]:
        yield HEAD
        await self._live.subscribe(self._client, self._meeting, since_seq=self._since_seq)
        async with contextlib.aclosing(self._client.texts()) as texts:
            async for text in texts:
                yield text
