from __future__ import annotations

import pytest

from tests.collector.api.said import PATH, client, entry, say, segment
from tests.collector.fakes import FakeStore, services


@pytest.fixture
async def store() -> FakeStore:
    """A meeting with two finals."""
    filled = FakeStore()
    await say(filled, "Hello everyone.", "Good morning.")
    return filled


async def test_the_transcript_has_vexas_form(store: FakeStore):
    """Both spellings of times, absolute times, an ETag with the seq."""
    async with client(services(store=store)) as http:
        answer = await http.get(PATH)
    body = answer.json()
    assert (body["platform"], body["native_meeting_id"], body["status"]) == ("google_meet", "zqe-gfmd-knr", "active")
    first = body["segments"][0]
    assert (first["start"], first["start_time"], first["end"], first["end_time"]) == (0.0, 0.0, 1.9, 1.9)
    assert first["absolute_start_time"] == "2026-02-15T09:20:03.101000Z"
    assert (first["text"], first["speaker"], first["completed"]) == ("Hello everyone.", "Alice", True)
    assert answer.headers["etag"] == f'W/"{body["id"]}-{body["seq"]}"'
    assert answer.headers["vary"] == "Accept"


async def test_the_number_and_the_room_give_the_same(store: FakeStore):
    """By room, by number, and by room and number; a wrong number is a 404."""
    async with client(services(store=store)) as http:
        body = (await http.get(PATH)).json()
        assert (await http.get(f"/transcripts/by-id/{body['id']}")).json() == body
        assert (await http.get(PATH, params={"meeting_id": body["id"]})).json() == body
        assert (await http.get(PATH, params={"meeting_id": 5})).status_code == 404


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", W/{}', "*"])
async def test_an_unchanged_transcript_is_a_304(store: FakeStore, known: str):
    """Until something is said."""
    async with client(services(store=store)) as http:
        etag = (await http.get(PATH)).headers["etag"]
        headers = {"If-None-Match": known.format(etag.removeprefix("W/"))}
        same = await http.get(PATH, headers=headers)
        await store.apply([entry(90, segment(2, "More."))])
        new = await http.get(PATH, headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert new.status_code == 200


@pytest.mark.parametrize(
    ("file_format", "media_type", "expected"),
    [
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:00,000 --> 00:00:01,900\nAlice: Hello everyone.\n\n"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n00:00:00.000 --> 00:00:01.900\n<v Alice>Hello everyone."),
        ("txt", "text/plain; charset=utf-8", "MEETING TRANSCRIPT\nPlatform: google_meet\nMeeting ID: zqe-gfmd-knr\n"),
        ("json", "application/json", '{"id":'),
    ],
)
async def test_files(store: FakeStore, file_format: str, media_type: str, expected: str):
    """By `format`, and by Accept (JSON excepted, which is the transcript itself), with a safe name."""
    async with client(services(store=store)) as http:
        by_format = await http.get(PATH, params={"format": file_format})
        by_accept = await http.get(PATH, headers={"Accept": media_type})
    assert by_format.headers["content-type"] == media_type
    name = f"transcript-google_meet-zqe-gfmd-knr.{file_format}"
    assert by_format.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert by_format.text.startswith(expected)
    if file_format != "json":
        assert by_accept.text == by_format.text
    assert ("content-disposition" in by_accept.headers) == (file_format != "json")


@pytest.mark.parametrize("query", ["limit=5", "since_seq=0", "cursor=3", "pending=true"])
async def test_a_file_is_whole(store: FakeStore, query: str):
    """What asks for a part of it is refused."""
    async with client(services(store=store)) as http:
        answer = await http.get(f"{PATH}?format=srt&{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("format: a file holds the whole transcript; leave out pending")
