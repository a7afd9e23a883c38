from __future__ import annotations

import pytest

from app.collector.facts import Room
from tests.collector.api.said import MANY, client, say, say_much
from tests.collector.fakes import FakeStore, services

SECRET = "s3"  # noqa: S105 - of this test


async def test_who_may_follow_what():
    """The owner's rooms with their numbers as texts; unknown, foreign and impossible ones look the same."""
    store = FakeStore()
    await say(store, "Hello.")
    await say(store, "Private.", room=Room(platform="zoom", native_id="1", owner_id=2), session="c2")
    wanted = [("google_meet", "zqe-gfmd-knr"), ("zoom", "1"), ("zoom", "2"), ("No such", ""), ("zoom", "a\x00")]
    body = {"meetings": [{"platform": platform, "native_meeting_id": native} for platform, native in wanted]}
    async with client(services(store=store)) as http:
        answer = await http.post("/ws/authorize-subscribe", json=body)
    number = next(id_ for id_, each in store.found.items() if each.row.owner_id == 1)
    assert answer.json() == {
        "authorized": [
            {"platform": "google_meet", "native_id": "zqe-gfmd-knr", "user_id": "1", "meeting_id": str(number)}
        ],
        "errors": [f"meetings[{place}] not authorized or not found for user" for place in range(1, 5)],
        "user_id": 1,
    }


async def test_internal_transcripts_need_the_secret():
    """Without it, or without one in the settings, the address does not exist; keys do not help."""
    store = FakeStore()
    await say(store, "Private.", room=Room(platform="zoom", native_id="1", owner_id=2))
    number = next(iter(store.found))
    for secret, sent in (("", ""), ("s3", ""), ("s3", "wrong"), ("", "s3")):
        async with client(services(store=store, internal_secret=secret, keys=("k",)), key="k") as http:
            answer = await http.get(f"/internal/transcripts/{number}", headers={"X-Internal-Secret": sent})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    async with client(services(store=store, internal_secret=SECRET)) as http:
        answer = await http.get(f"/internal/transcripts/{number}", headers={"X-Internal-Secret": "s3"})
        unknown = await http.get("/internal/transcripts/5", headers={"X-Internal-Secret": "s3"})
    assert [each["text"] for each in answer.json()] == ["Private."]
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Meeting not found: 5"})


@pytest.mark.parametrize("long", [True, False])
async def test_internal_transcripts_are_lists(long: bool):  # noqa: FBT001
    """Of every length, also of none."""
    store = FakeStore()
    await (say_much(store) if long else say(store))
    headers = {"X-Internal-Secret": "s3"}
    async with client(services(store=store, internal_secret=SECRET), headers=headers) as http:
        body = (await http.get(f"/internal/transcripts/{next(iter(store.found))}")).json()
    assert len(body) == (MANY if long else 0)
