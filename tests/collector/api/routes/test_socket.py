from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from app.collector.redis_io.connection import Client, connect
from app.contracts.collector import chat_channel, status_channel
from tests.collector.fake_store import FakeStore
from tests.collector.live.push import NATIVE, PLATFORM, Meeting, Merged, Server, serving, until
from tests.servers import RedisServer

ROOM = {"platform": PLATFORM, "native_id": NATIVE}


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Client]:
    """A client of a Redis of its own."""
    async with connect(redis_server.url) as client:
        yield client


@pytest.fixture
async def meeting(redis: Client) -> Meeting:
    """A meeting in which one final was said."""
    found = Meeting(FakeStore(), redis)
    await found.begin()
    await found.say("one")
    return found


@pytest.fixture
async def server(meeting: Meeting, redis: Client) -> AsyncIterator[Server]:
    """A server on the meeting's store."""
    async with serving(meeting.store, redis) as found:
        yield found


async def receive(ws: ClientConnection) -> dict[str, Any]:
    """The next frame."""
    value: dict[str, Any] = json.loads(await ws.recv())
    return value


async def ask(ws: ClientConnection, action: str, *meetings: dict[str, Any]) -> dict[str, Any]:
    """Send a message and return the next frame."""
    await ws.send(json.dumps({"action": action, "meetings": list(meetings)}))
    return await receive(ws)


async def merge(ws: ClientConnection, merged: Merged, *, finals: int) -> None:
    """Merge frames until there are so many finals."""
    while len(merged.finals) < finals:
        merged.take(await receive(ws))


async def test_a_subscriber_gets_what_was_and_what_is_said(server: Server, meeting: Meeting):
    """The answer comes first, then what the store has, then each final after its commit."""
    merged = Merged()
    async with open_socket(f"ws://{server.address}/ws") as ws:
        assert await ask(ws, "subscribe", ROOM) == {"type": "subscribed", "meetings": [ROOM]}
        await merge(ws, merged, finals=1)
        await meeting.say("two")
        await merge(ws, merged, finals=2)
    assert list(merged.finals.values()) == ["one", "two"]


async def test_since_seq_leaves_out_what_the_client_has(server: Server, meeting: Meeting):
    """Nothing up to since_seq is sent again."""
    merged = Merged()
    async with open_socket(f"ws://{server.address}/ws") as ws:
        await ask(ws, "subscribe", {**ROOM, "since_seq": 1})
        await meeting.say("two")
        await merge(ws, merged, finals=1)
    assert merged.finals == {"c1:1": "two"}


async def test_drafts_status_and_chat_are_forwarded(server: Server, meeting: Meeting, redis: Client):
    """Drafts come from the gateway's channel; status and chat from Vexa's, with the meeting's identity."""
    merged = Merged()
    async with open_socket(f"ws://{server.address}/ws") as ws:
        await ask(ws, "subscribe", ROOM)
        await merge(ws, merged, finals=1)
        await until(lambda: bool(server.app.state.live._feeds[meeting.id]._drafts.sessions))
        await meeting.draft("and", after=1)
        while merged.drafts != ["and"]:
            merged.take(await receive(ws))
        await redis.publish(
            chat_channel(meeting.id), json.dumps({"type": "chat_message", "sender": "Bot", "text": "hi"})
        )
        while (frame := await receive(ws))["type"] != "chat_message":
            pass
        assert frame == {
            "type": "chat_message",
            "sender": "Bot",
            "text": "hi",
            "meeting": {"id": meeting.id, "platform": PLATFORM, "native_id": NATIVE},
        }
        told = {"type": "meeting.status", "payload": {"status": "awaiting_admission"}, "user_id": 7}
        await redis.publish(status_channel(meeting.id), json.dumps(told))
        while "awaiting_admission" not in merged.statuses:
            merged.take(await receive(ws))


async def test_mutable_frames_are_those_of_the_first_clients(server: Server, meeting: Meeting):
    """`?frames=mutable` sends transcript.mutable."""
    async with open_socket(f"ws://{server.address}/ws?frames=mutable") as ws:
        await ask(ws, "subscribe", ROOM)
        frame = await receive(ws)
    assert frame["type"] == "transcript.mutable"
    assert [each["text"] for each in frame["payload"]["segments"]] == ["one"]


async def test_unknown_meetings_are_errors_with_a_time_to_retry(server: Server, meeting: Meeting, redis: Client):
    """A meeting that has not begun is named in the answer; a retry after its first words gets them all."""
    early = Meeting(meeting.store, redis, connection_id="c2", native_id="new-room-xyz")
    room = {"platform": PLATFORM, "native_id": "new-room-xyz"}
    merged = Merged()
    async with open_socket(f"ws://{server.address}/ws") as ws:
        answer = await ask(ws, "subscribe", room, ROOM, {"platform": "zoom"})
        assert answer == {
            "type": "error",
            "error": "invalid_subscribe_payload",
            "details": [
                "meetings[2] missing 'platform' or 'native_id'",
                "meetings[0] not authorized or not found for user",
            ],
            "not_found": [room],
            "retry_after_s": 1,
        }
        assert await receive(ws) == {"type": "subscribed", "meetings": [ROOM]}
        await early.begin()
        await early.say("first", "words")
        await ws.send(json.dumps({"action": "subscribe", "meetings": [room]}))
        await merge_until(ws, merged, "words")
    assert "first" in merged.finals.values()


async def merge_until(ws: ClientConnection, merged: Merged, text: str) -> None:
    """Merge frames until a final is there."""
    while text not in merged.finals.values():
        frame = await receive(ws)
        if frame["type"] != "subscribed":
            merged.take(frame)


async def test_messages_that_cannot_be_used_have_their_codes(server: Server):
    """The codes of Vexa's gateway; the connection goes on."""
    async with open_socket(f"ws://{server.address}/ws") as ws:
        for message, code in (
            ("{", "invalid_json"),
            ("[]", "invalid_json"),
            ('{"action":"dance"}', "unknown_action"),
            ('{"action":"subscribe","meetings":{}}', "invalid_subscribe_payload"),
            ('{"action":"unsubscribe"}', "invalid_unsubscribe_payload"),
        ):
            await ws.send(message)
            assert (await receive(ws))["error"] == code
        await ws.send(b"\x00")
        assert (await receive(ws))["error"] == "invalid_json"
        await ws.send('{"action":"ping"}')
        assert await receive(ws) == {"type": "pong"}
        await ws.send("x" * 70_000)
        await ws.wait_closed()
    assert ws.close_code == 1009


async def test_unsubscribe_ends_the_frames(server: Server, meeting: Meeting):
    """An unknown room is an error; a known one is answered, and its channels are left."""
    async with open_socket(f"ws://{server.address}/ws") as ws:
        await ask(ws, "subscribe", ROOM)
        await merge(ws, Merged(), finals=1)
        while (await receive(ws))["type"] != "meeting.status":
            pass
        answer = await ask(ws, "unsubscribe", {"platform": "zoom", "native_id": "1"})
        assert answer["error"] == "invalid_unsubscribe_payload"
        assert await ask(ws, "unsubscribe", ROOM) == {"type": "unsubscribed", "meetings": [ROOM]}
        await until(lambda: server.app.state.live._feeds == {})
        await meeting.say("two")
        await ws.send('{"action":"ping"}')
        assert await receive(ws) == {"type": "pong"}


async def test_a_key_is_needed(meeting: Meeting, redis: Client):
    """Missing and wrong keys get Vexa's codes and 4401; header and query parameter are accepted."""
    async with serving(meeting.store, redis, keys=("secret-key",)) as server:
        for query, code in (("", "missing_api_key"), ("?api_key=wrong", "invalid_api_key")):
            async with open_socket(f"ws://{server.address}/ws{query}") as ws:
                assert (await receive(ws))["error"] == code
                with pytest.raises(ConnectionClosed) as closed:
                    await ws.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4401
        for query, headers in (("?api_key=secret-key", {}), ("", {"X-API-Key": "secret-key"})):
            async with open_socket(f"ws://{server.address}/ws{query}", additional_headers=headers) as ws:
                assert (await ask(ws, "subscribe", ROOM))["type"] == "subscribed"


async def test_another_page_cannot_read_without_a_key(server: Server):
    """Browsers let any page open a WebSocket; where no key is needed, only this server's page may."""
    async with open_socket(f"ws://{server.address}/ws", origin=f"http://{server.address}") as ws:  # type: ignore[arg-type]
        await ws.send('{"action":"ping"}')
        assert await receive(ws) == {"type": "pong"}
    async with open_socket(f"ws://{server.address}/ws", origin="http://evil.example") as ws:  # type: ignore[arg-type]
        assert (await receive(ws))["error"] == "origin_not_allowed"


async def test_a_stop_closes_sockets_as_a_restart(server: Server, meeting: Meeting):
    """1012 tells the client to come again."""
    async with open_socket(f"ws://{server.address}/ws") as ws:
        await ask(ws, "subscribe", ROOM)
        await server.stop()
        await ws.wait_closed()
    assert ws.close_code == 1012


async def test_readers_are_counted(server: Server):
    """The gauge follows connections, and everything is released with the last one."""
    gauge = server.services.metrics.live_clients.labels("websocket")
    async with open_socket(f"ws://{server.address}/ws") as ws:
        await ask(ws, "subscribe", ROOM)
        assert gauge._value.get() == 1
    await until(lambda: gauge._value.get() == 0 and not server.app.state.live._tasks)
    assert server.app.state.live._feeds == {}


async def test_a_deleted_meeting_is_unsubscribed(server: Server, meeting: Meeting):
    """The client is told although nothing is published about it, nothing more follows, and nothing stays behind."""
    async with open_socket(f"ws://{server.address}/ws") as ws:
        await ask(ws, "subscribe", ROOM)
        await merge(ws, Merged(), finals=1)
        await meeting.publish(await meeting.store.end_meeting(meeting.id, now_ms=0))
        await meeting.store.delete_meeting(1, PLATFORM, NATIVE, meeting_id=None, now_ms=0)
        while (frame := await receive(ws))["type"] != "unsubscribed":
            pass
        assert server.app.state.live._feeds == {}
    assert frame == {"type": "unsubscribed", "meetings": [ROOM], "reason": "deleted"}
