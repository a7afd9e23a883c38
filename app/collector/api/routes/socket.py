"""The WebSocket of live transcripts, with the messages of Vexa's gateway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Literal

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from app.collector.api.auth import MissingKey, identify, is_other_page, require_scope
from app.collector.api.errors import ApiError
from app.collector.api.state import live_of, services_of
from app.collector.errors import DatabaseAway
from app.collector.live import socket_protocol as protocol
from app.collector.live.service import Live
from app.collector.live.socket_protocol import Request, Unreadable, Wanted, encode, error
from app.collector.live.subscription import LiveClient
from app.collector.live.view import View
from app.collector.rows import ApiKey, MeetingRow
from app.collector.services import Services

router = APIRouter()
log = logging.getLogger(__name__)


@router.websocket("/ws")
async def socket(ws: WebSocket, frames: Literal["transcript", "mutable"] = "transcript") -> None:
    """Subscribe to meetings and receive their frames.

    Who sends no accepted key is told so and disconnected with 4401. `?frames=mutable` gives the frames of Vexa's
    first clients.
    """
    services = services_of(ws)
    await ws.accept()
    with contextlib.suppress(WebSocketDisconnect):
        key = await _admitted(ws, services)
        if key is not None:
            await _Socket(ws, services, live_of(ws), key, mutable=frames == "mutable").run()


async def _admitted(ws: WebSocket, services: Services) -> ApiKey | None:
    """The sender's key; without one the socket is closed."""
    if is_other_page(ws, services.options):
        await _refuse(ws, error("origin_not_allowed"), protocol.CLOSE_FORBIDDEN)
        return None
    try:
        return require_scope(await identify(ws, services, in_query=True), "read")
    except MissingKey:
        await _refuse(ws, error("missing_api_key"), protocol.CLOSE_NO_KEY)
    except ApiError as refusal:
        await _refuse(ws, error("invalid_api_key", refusal.detail), protocol.CLOSE_NO_KEY)
    except DatabaseAway:
        await _refuse(ws, error("authorization_call_failed", "the database does not answer"), protocol.CLOSE_RESTART)
    return None


async def _refuse(ws: WebSocket, answer: dict[str, object], code: int) -> None:
    await ws.send_text(encode(answer))
    await ws.close(code)


class _Socket:
    """One accepted connection."""

    def __init__(self, ws: WebSocket, services: Services, live: Live, key: ApiKey, *, mutable: bool) -> None:
        self._ws = ws
        self._services = services
        self._live = live
        self._owner_id = key.owner_id
        self._meetings: dict[int, Wanted] = {}
        self._client = LiveClient(
            services,
            kind="websocket",
            owner_id=key.owner_id,
            encode=protocol.encode_mutable if mutable else encode,
            gone=self._gone,
        )

    async def run(self) -> None:
        """Read and write at the same time, until one of them ends."""
        async with self._live.connected(self._client):
            sides = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
            try:
                await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in sides:
                    each.cancel()
                results = await asyncio.gather(*sides, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _write(self) -> None:
        async with contextlib.aclosing(self._client.texts()) as texts:
            async for text in texts:
                await self._ws.send_text(text)
        await self._ws.close(protocol.CLOSE_RESTART)

    async def _read(self) -> None:
        while True:
            message = await self._ws.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                await self._reply(error("invalid_json", "a message must be text"))
                continue
            if len(text) > protocol.MAX_MESSAGE_CHARACTERS:
                await self._ws.close(protocol.CLOSE_TOO_LARGE)
                return
            try:
                await self._act(protocol.read_request(text))
            except Unreadable as problem:
                await self._reply(problem.answer)
            except DatabaseAway:
                await self._reply(error("authorization_call_failed", "the database does not answer; try again"))

    async def _act(self, request: Request) -> None:
        match request.action:
            case "ping":
                await self._reply({"type": "pong"})
            case "subscribe":
                await self._subscribe(request)
            case "unsubscribe":
                await self._unsubscribe(request)

    async def _subscribe(self, request: Request) -> None:
        """Answer first, so that the frames of a meeting follow it."""
        found: list[tuple[Wanted, MeetingRow]] = []
        unknown, problems = [], list(request.problems)
        room = protocol.MAX_SUBSCRIPTIONS - len(self._meetings)
        for wanted in request.meetings:
            meeting = await self._services.store.meeting(
                self._owner_id, wanted.platform, wanted.native_id, meeting_id=wanted.meeting_id
            )
            if meeting is None:
                unknown.append(wanted)
                problems.append(protocol.not_found(wanted))
            elif meeting.id not in self._meetings and len(found) >= room:
                most = protocol.MAX_SUBSCRIPTIONS
                problems.append(f"meetings[{wanted.index}] is one too many; the limit is {most} per connection")
            else:
                found.append((wanted, meeting))
        if problems:
            await self._reply(protocol.refused(problems, unknown))
        if found:
            await self._reply({"type": "subscribed", "meetings": [wanted.named() for wanted, _ in found]})
        for wanted, meeting in found:
            self._meetings[meeting.id] = wanted
            await self._live.subscribe(self._client, meeting, since_seq=wanted.since_seq)

    async def _unsubscribe(self, request: Request) -> None:
        ended, problems = [], list(request.problems)
        for wanted in request.meetings:
            ids = [id_ for id_, each in self._meetings.items() if each.named() == wanted.named()]
            if not ids:
                problems.append(f"meetings[{wanted.index}] not currently subscribed")
            for id_ in ids:
                del self._meetings[id_]
                await self._live.unsubscribe(self._client, id_)
            if ids:
                ended.append(wanted.named())
        if problems:
            await self._reply(error("invalid_unsubscribe_payload", problems))
        if ended:
            await self._reply({"type": "unsubscribed", "meetings": ended})

    async def _reply(self, answer: dict[str, object]) -> None:
        await self._client.reply(encode(answer))

    def _gone(self, view: View) -> str:
        """A meeting was deleted."""
        wanted = self._meetings.pop(view.meeting["id"], None)
        named = wanted.named() if wanted else {}
        return encode({"type": "unsubscribed", "meetings": [named], "reason": "deleted"})
