"""The main routes on the real store, on each kind of database."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import httpx
import pytest

from app.collector.api.auth import key_hash
from app.collector.facts import Retract, Room, SegmentFact, Segments
from app.collector.services import Services
from app.collector.store.store import Store
from tests.collector.api.said import MANY, PATH, START_MS, client, entry, say, say_much, segment
from tests.collector.fakes import services

MEETING = "/meetings/google_meet/zqe-gfmd-knr"
FOREIGN = Room(platform="zoom", native_id="foreign", owner_id=2)


@pytest.fixture
async def parts(database_url: str) -> AsyncIterator[Services]:
    """Services on an empty database, with a key for each of two owners."""
    store = await Store.open(database_url)
    everything = frozenset({"read", "write", "delete"})
    for owner_id in (1, 2):
        await store.create_key(
            owner_id,
            key_hash(f"key-{owner_id}"),
            prefix="key",
            name="",
            scopes=everything,
            expires_ms=None,
            now_ms=START_MS,
        )
    yield dataclasses.replace(services(needs_key=True), store=store)
    await store.close()


@pytest.fixture
async def http(parts: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the key of owner 1."""
    async with client(parts, key="key-1") as opened:
        yield opened


async def test_what_is_stored_is_read(parts: Services, http: httpx.AsyncClient):
    """List, meeting, transcript; an ETag that changes with the text and with the description."""
    await say(parts.store, "Hello everyone.", "Good morning.")
    listed = (await http.get("/meetings")).json()["meetings"]
    assert [each["native_meeting_id"] for each in listed] == ["zqe-gfmd-knr"]
    assert (await http.get(f"/meetings/{listed[0]['id']}")).json() == listed[0]
    answer = await http.get(PATH)
    assert [each["text"] for each in answer.json()["segments"]] == ["Hello everyone.", "Good morning."]
    assert answer.json()["segments"][0]["absolute_start_time"] == "2026-02-15T09:20:03.101000Z"
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await http.get(PATH, headers=known)).status_code == 304
    patched = await http.patch(MEETING, json={"data": {"name": "Stand-up", "participants": ["Ann"]}})
    assert patched.json()["data"] == {"name": "Stand-up", "participants": ["Ann"]}
    changed = await http.get(PATH, headers=known)
    assert (changed.status_code, changed.json()["data"]["name"]) == (200, "Stand-up")


async def test_changes_and_drafts(parts: Services, http: httpx.AsyncClient):
    """`since_seq` gives what is new and what is gone; drafts come on request."""
    await say(parts.store, "One.", "Two.")
    seq = (await http.get(PATH)).json()["seq"]
    draft = segment(3, "dra", completed=False)
    await parts.store.apply([entry(90, segment(2, "Three.")), entry(91, Retract(("c1:0",))), entry(92, draft)])
    body = (await http.get(PATH, params={"since_seq": seq, "pending": "true"})).json()
    assert [(each["segment_id"], each.get("deleted", False), each["completed"]) for each in body["segments"]] == [
        ("c1:0", True, True),
        ("c1:2", False, True),
        ("c1:3", False, False),
    ]
    assert (await http.get(PATH, params={"since_seq": body["seq"]})).json()["segments"] == []
    assert [each["text"] for each in (await http.get(PATH)).json()["segments"]] == ["Two.", "Three."]


async def test_a_repeated_segment_is_gone_for_a_reader_of_changes(parts: Services, http: httpx.AsyncClient):
    """It may have been shown before it was found to repeat another one; `raw=true` keeps it."""
    short = SegmentFact("t:0", has_id=False, text="It was", completed=True, start_ms=0, end_ms=900)
    long = SegmentFact("t:10", has_id=False, text="It was a milestone", completed=True, start_ms=10, end_ms=3000)
    first, second = (
        dataclasses.replace(entry(at_ms, Segments((fact,))), connection_id=None)
        for at_ms, fact in ((10, short), (20, long))
    )
    await parts.store.apply([first])
    seq = (await http.get(PATH)).json()["seq"]
    await parts.store.apply([second])
    changes = (await http.get(PATH, params={"since_seq": seq})).json()["segments"]
    raw = (await http.get(PATH, params={"since_seq": seq, "raw": "true"})).json()["segments"]
    assert {each["text"]: each.get("deleted", False) for each in changes} == {
        "It was": True,
        "It was a milestone": False,
    }
    assert [each.get("deleted", False) for each in raw] == [False, False]


@pytest.mark.parametrize("file_format", ["json", "srt", "vtt", "txt"])
async def test_long_files(parts: Services, http: httpx.AsyncClient, file_format: str):
    """Every final once, over several pages of the store; pages of a reader's own too."""
    await say_much(parts.store)
    text = (await http.get(PATH, params={"format": file_format})).text
    assert [text.count(f"Word {number:05d}.") for number in range(MANY)] == [1] * MANY
    first = (await http.get(PATH, params={"limit": 700})).json()
    rest = (await http.get(PATH, params={"limit": 700, "cursor": first["next_cursor"]})).json()
    texts = [each["text"] for body in (first, rest) for each in body["segments"]]
    assert texts == [f"Word {number:05d}." for number in range(MANY)]


async def test_search_finds_words_of_the_owner_only(parts: Services, http: httpx.AsyncClient):
    """With a snippet that is escaped but for its marks; no query is an error."""
    await say(parts.store, "The <budget> is fine.", "Something else.")
    await say(parts.store, "A foreign budget.", room=FOREIGN, session="c2")
    body = (await http.get("/search", params={"q": "budget"})).json()
    assert [each["segment"]["text"] for each in body["hits"]] == ["The <budget> is fine."]
    assert "&lt;<b>budget</b>&gt;" in body["hits"][0]["snippet"]
    for query in ('"', "AND", "*", "a*b", '"open', "NEAR(", "-x", "(", "'; DROP", "%", "\\", "x:y", "^"):
        assert (await http.get("/search", params={"q": query})).status_code == 200, query


async def test_a_cursor_of_elsewhere_is_refused(http: httpx.AsyncClient, parts: Services):
    """422 with the remedy, in every list."""
    await say(parts.store, "One.")
    for path in ("/meetings?", f"{PATH}?limit=5&", "/search?q=one&"):
        answer = await http.get(f"{path}cursor=invented")
        assert answer.status_code == 422, path
        assert answer.json()["detail"].startswith("cursor: this server did not give it out")


async def test_deletion(parts: Services, http: httpx.AsyncClient):
    """409 while it goes on, then gone everywhere; deleting it again changes nothing."""
    await say(parts.store, "Secret plans.")
    assert (await http.delete(MEETING)).status_code == 409
    assert (await http.post(f"{MEETING}/end")).json()["status"] == "completed"
    number = (await http.get("/meetings")).json()["meetings"][0]["id"]
    assert [(await http.delete(MEETING)).status_code for _ in range(2)] == [200, 200]
    assert (await http.get("/meetings")).json()["meetings"] == []
    for path in (f"/meetings/{number}", PATH, f"/transcripts/by-id/{number}"):
        assert (await http.get(path)).status_code == 404
    assert (await http.get("/search", params={"q": "secret"})).json()["hits"] == []


async def test_another_owner_sees_nothing(parts: Services, http: httpx.AsyncClient):
    """404 on every route, nothing in lists and search, an error in authorize-subscribe."""
    await say(parts.store, "Private budget.")
    number = (await http.get("/meetings")).json()["meetings"][0]["id"]
    async with client(parts, key="key-2") as other:
        for method, path in (
            ("GET", PATH),
            ("GET", f"{PATH}?format=srt"),
            ("GET", f"{PATH}?meeting_id={number}"),
            ("GET", f"/transcripts/by-id/{number}"),
            ("GET", f"/meetings/{number}"),
            ("POST", f"{MEETING}/end"),
            ("DELETE", MEETING),
            ("DELETE", f"{MEETING}?meeting_id={number}"),
        ):
            assert (await other.request(method, path)).status_code == 404, path
        assert (await other.patch(MEETING, json={"data": {"name": "mine"}})).status_code == 404
        assert (await other.get("/meetings")).json()["meetings"] == []
        assert (await other.get("/search", params={"q": "budget"})).json()["hits"] == []
        wanted = {"meetings": [{"platform": "google_meet", "native_meeting_id": "zqe-gfmd-knr"}]}
        body = (await other.post("/ws/authorize-subscribe", json=wanted)).json()
    assert body["authorized"] == []
    assert body["errors"] == ["meetings[0] not authorized or not found for user"]
    assert (await http.get(PATH)).status_code == 200
