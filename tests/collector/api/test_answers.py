from __future__ import annotations

import json

import pytest
from starlette.types import Message, Scope

from app.collector.api.answers import PAGE_ROWS
from app.collector.api.app import create_app
from app.collector.errors import DatabaseAway
from app.collector.facts import Retract
from app.collector.rows import Page, SegmentRow
from tests.collector.api.said import MANY, PATH, client, entry, say, say_much, segment
from tests.collector.fakes import FakeStore, services


class WatchedStore(FakeStore):
    """A store that notes how many rows each page had, and may be away from a page on."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[int] = []
        self.away_after = 1000

    async def segments(self, *args, **kwargs) -> Page[SegmentRow]:
        """A page of segments."""
        if len(self.pages) >= self.away_after:
            raise DatabaseAway
        page = await super().segments(*args, **kwargs)
        self.pages.append(len(page.items))
        return page


@pytest.mark.parametrize("file_format", [None, "json", "srt", "vtt", "txt"])
async def test_a_long_transcript_is_read_in_pages(file_format: str | None):
    """Every final is there once and in order, and no more than one page is asked for at a time."""
    store = WatchedStore()
    await say_much(store)
    query = {"format": file_format} if file_format else {}
    async with client(services(store=store)) as http:
        answer = await http.get(PATH, params=query)
    assert answer.status_code == 200
    assert max(store.pages) == PAGE_ROWS
    assert sum(store.pages) == MANY
    assert answer.text.count("Word ") == MANY
    assert answer.text.index("Word 00000.") < answer.text.index("Word 00600.") < answer.text.index("Word 01202.")
    if file_format in {None, "json"}:
        body = json.loads(answer.text)
        assert [each["text"] for each in body["segments"]] == [f"Word {number:05d}." for number in range(MANY)]
        assert body["next_cursor"] is None


async def test_pages_are_joined_by_their_cursor():
    """With a limit the reader turns the pages."""
    store = FakeStore()
    await say_much(store)
    texts: list[str] = []
    cursor: str | None = None
    async with client(services(store=store)) as http:
        while True:
            body = (await http.get(PATH, params={"limit": 500, **({"cursor": cursor} if cursor else {})})).json()
            texts += [each["text"] for each in body["segments"]]
            cursor = body["next_cursor"]
            if cursor is None:
                break
    assert texts == [f"Word {number:05d}." for number in range(MANY)]


async def test_an_answer_that_breaks_off_does_not_look_complete():
    """The database goes away after the first page: the body has no end, so no reader takes it for the whole."""
    store = WatchedStore()
    await say_much(store)
    store.away_after = 1
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    scope: Scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "method": "GET", "path": PATH}
    scope.update(query_string=b"", headers=[], root_path="", http_version="1.1", scheme="http")
    await create_app(services(store=store))(scope, receive, send)
    assert messages[0]["status"] == 200
    assert len(messages) > 1
    assert all(message["more_body"] for message in messages[1:])


async def test_head_reads_one_page_only():
    """The headers of GET, and no stream behind them."""
    store = WatchedStore()
    await say_much(store)
    async with client(services(store=store)) as http:
        answer = await http.head(PATH, params={"format": "srt"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-subrip; charset=utf-8"
    assert store.pages == [PAGE_ROWS]


async def test_changes_since_a_seq():
    """What is new, and what is gone as `deleted`; nothing else."""
    store = FakeStore()
    await say(store, "One.", "Two.", "Three.")
    async with client(services(store=store)) as http:
        seq = (await http.get(PATH)).json()["seq"]
        await store.apply([entry(90, segment(3, "Four.")), entry(91, Retract(("c1:1",)))])
        body = (await http.get(PATH, params={"since_seq": seq})).json()
        assert [(each["segment_id"], each.get("deleted", False)) for each in body["segments"]] == [
            ("c1:1", True),
            ("c1:3", False),
        ]
        assert (await http.get(PATH, params={"since_seq": body["seq"]})).json()["segments"] == []
        assert [each["text"] for each in (await http.get(PATH)).json()["segments"]] == ["One.", "Three.", "Four."]


async def test_drafts_are_shown_on_request():
    """`pending=true` shows them, files never do."""
    store = FakeStore()
    await say(store, "Final.")
    await store.apply([entry(90, segment(1, "dra", completed=False))])
    async with client(services(store=store)) as http:
        assert [each["text"] for each in (await http.get(PATH)).json()["segments"]] == ["Final."]
        shown = (await http.get(PATH, params={"pending": "true"})).json()["segments"]
        file = (await http.get(PATH, params={"format": "txt"})).text
    assert [(each["text"], each["completed"]) for each in shown] == [("Final.", True), ("dra", False)]
    assert "dra" not in file
