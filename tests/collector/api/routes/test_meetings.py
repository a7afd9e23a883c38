from __future__ import annotations

import dataclasses

import pytest

from app.collector.api.auth import EVERYTHING, key_hash
from app.collector.facts import Room
from app.collector.rows import Applied, Deletion
from tests.collector.api.said import ROOM, client, entry, say, segment
from tests.collector.fakes import FakeStore, services

MEETING = "/meetings/google_meet/zqe-gfmd-knr"
FOREIGN = Room(platform="google_meet", native_id="foreign", owner_id=2)


@pytest.fixture
async def store() -> FakeStore:
    """Three meetings of owner 1, one of owner 2."""
    filled = FakeStore()
    await say(filled, "Hello.")
    await say(filled, "Good day.", room=Room(platform="zoom", native_id="123"), session="c2")
    await say(filled, "Hi.", room=Room(platform="zoom", native_id="456"), session="c3")
    await say(filled, "Private.", room=FOREIGN, session="c4")
    return filled


async def test_meetings_are_listed_in_pages(store: FakeStore):
    """Newest first, by limit and cursor, filtered by platform and status; those of others are not there."""
    async with client(services(store=store)) as http:
        first = (await http.get("/meetings", params={"limit": 2})).json()
        rest = (await http.get("/meetings", params={"limit": 2, "cursor": first["next_cursor"]})).json()
        zoom = (await http.get("/meetings", params={"platform": "zoom", "status": "active"})).json()
        none = (await http.get("/meetings", params={"status": "completed"})).json()
    ids = [each["native_meeting_id"] for each in (*first["meetings"], *rest["meetings"])]
    assert ids == ["456", "123", "zqe-gfmd-knr"]
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    assert [each["native_meeting_id"] for each in zoom["meetings"]] == ["456", "123"]
    assert none == {"meetings": [], "has_more": False, "next_cursor": None}


async def test_a_meeting_is_read_by_its_number(store: FakeStore):
    """Vexa's fields."""
    async with client(services(store=store)) as http:
        listed = (await http.get("/meetings")).json()["meetings"][-1]
        body = (await http.get(f"/meetings/{listed['id']}")).json()
    assert body == listed
    assert body["constructed_meeting_url"] == "https://meet.google.com/zqe-gfmd-knr"
    assert (body["user_id"], body["status"], body["bot_container_id"]) == (1, "active", None)


async def test_people_describe_a_meeting(store: FakeStore):
    """The four fields are kept, others are ignored, and nothing at all is a 400."""
    async with client(services(store=store)) as http:
        data = {"name": "Standup", "participants": ["Ann", "Bob"], "languages": ["en"], "notes": "Short.", "x": 1}
        body = (await http.patch(MEETING, json={"data": data})).json()
        empty = await http.patch(MEETING, json={"data": {"x": 1}})
        wrong = await http.patch(MEETING, json={"data": {"name": "x" * 256}})
    del data["x"]
    assert body["data"] == data
    assert empty.status_code == 400
    assert empty.json()["detail"] == "data: nothing to change; it may hold name, participants, languages, notes."
    assert (wrong.status_code, wrong.json()["detail"][:12]) == (422, "data.name: '")


async def test_a_meeting_that_is_deleted_meanwhile_is_not_found(store: FakeStore, monkeypatch: pytest.MonkeyPatch):
    """404, as if it had been deleted before."""

    async def patch_meeting(*args, **kwargs):
        raise LookupError("there is no meeting 5")

    monkeypatch.setattr(store, "patch_meeting", patch_meeting)
    async with client(services(store=store)) as http:
        answer = await http.patch(MEETING, json={"data": {"name": "x"}})
    assert (answer.status_code, "no meeting" in answer.text) == (404, False)


async def test_a_meeting_is_ended_and_its_readers_are_told(store: FakeStore):
    """Drafts become final; ending it again changes nothing."""
    await store.apply([entry(90, segment(1, "draft", completed=False))])
    published: list[Applied] = []
    async with client(services(store=store, published=published)) as http:
        body = (await http.post(f"{MEETING}/end")).json()
        again = (await http.post(f"{MEETING}/end")).json()
    assert body["status"] == again["status"] == "completed"
    assert [change.segments[0].text for change in published[0].changes] == ["draft"]
    assert published[1].changes == ()


async def test_an_active_meeting_is_not_deleted(store: FakeStore):
    """409 in Vexa's words."""
    async with client(services(store=store)) as http:
        answer = await http.delete(MEETING)
    text = "Meeting not finalized; cannot delete transcripts. Current status: active"
    assert (answer.status_code, answer.json()) == (409, {"detail": text})


async def test_a_deleted_meeting_is_gone_and_its_copies_are_purged(store: FakeStore):
    """200 in Vexa's words, then 404 on every route, and the purge knows the meeting."""
    purged: list[Deletion] = []
    async with client(services(store=store, purged=purged)) as http:
        number = (await http.post(f"{MEETING}/end")).json()["id"]
        answer = await http.delete(MEETING)
        gone = [
            await http.get(f"/meetings/{number}"),
            await http.get(f"/transcripts/by-id/{number}"),
            await http.get("/transcripts/google_meet/zqe-gfmd-knr"),
        ]
    text = "Meeting google_meet/zqe-gfmd-knr transcripts and recording artifacts deleted; meeting data anonymized"
    assert (answer.status_code, answer.json()) == (200, {"message": text})
    assert [each.status_code for each in gone] == [404, 404, 404]
    assert [each.meeting.native_id for each in purged] == [ROOM.native_id]


async def test_a_room_whose_name_has_a_slash_is_changed_by_number():
    """Its meeting is described, ended and deleted by its number; a second deletion changes nothing."""
    store = FakeStore()
    await store.apply([dataclasses.replace(entry(1, segment(0, "Hello.")), room=Room("zoom", "a/b"))])
    (number,) = store.found
    async with client(services(store=store)) as http:
        named = await http.patch(f"/meetings/{number}", json={"data": {"name": "Standup"}})
        early = await http.delete(f"/meetings/{number}")
        ended = await http.post(f"/meetings/by-id/{number}/end")
        deleted = [await http.delete(f"/meetings/{number}") for _ in range(2)]
        gone = await http.post(f"/meetings/by-id/{number}/end")
        unknown = await http.delete("/meetings/77")
    assert named.json()["data"] == {"name": "Standup"}
    assert (early.status_code, early.json()["detail"][-6:]) == (409, "active")
    assert ended.json()["status"] == "completed"
    assert [each.status_code for each in deleted] == [200, 200]
    assert deleted[0].json()["message"].startswith(f"Meeting {number} transcripts")
    assert (gone.status_code, unknown.status_code) == (404, 404)
    assert store.texts() == []


async def test_a_meeting_of_another_owner_does_not_exist(store: FakeStore):
    """404 with the text of a meeting that was never there, on every route."""
    number = next(id_ for id_, each in store.found.items() if each.row.owner_id == 2)
    room = "google_meet/foreign"
    async with client(services(store=store)) as http:
        for method, path in (
            ("GET", f"/meetings/{number}"),
            ("GET", f"/transcripts/by-id/{number}"),
            ("GET", f"/transcripts/{room}"),
            ("GET", f"/transcripts/{room}?meeting_id={number}"),
            ("POST", f"/meetings/{room}/end"),
            ("DELETE", f"/meetings/{room}"),
            ("POST", f"/meetings/by-id/{number}/end"),
            ("DELETE", f"/meetings/{number}"),
        ):
            answer = await http.request(method, path)
            assert answer.status_code == 404, path
            assert "not found" in answer.json()["detail"]
        for path in (room, str(number)):
            assert (await http.patch(f"/meetings/{path}", json={"data": {"name": "x"}})).status_code == 404
    assert store.texts().count("Private.") == 1


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/meetings", "read"),
        ("GET", "/search?q=x", "read"),
        ("PATCH", MEETING, "write"),
        ("POST", f"{MEETING}/end", "write"),
        ("DELETE", MEETING, "delete"),
    ],
)
async def test_a_key_needs_the_scope(store: FakeStore, method: str, path: str, scope: str):
    """403 that names the scope; without a key, Vexa's text."""
    rest = EVERYTHING - {scope}
    await store.create_key(1, key_hash("k"), prefix="k", name="", scopes=rest, expires_ms=None, now_ms=0)
    parts = services(store=store, needs_key=True)
    async with client(parts) as http:
        without = await http.request(method, path)
        lacking = await http.request(method, path, headers={"X-API-Key": "k"})
    assert (without.status_code, without.json()) == (403, {"detail": "Missing API token"})
    assert lacking.status_code == 403
    assert f"lacks the scope '{scope}'" in lacking.json()["detail"]
