from __future__ import annotations

import httpx
import pytest

from app.collector.api.errors import explain, invalid
from tests.collector.api.said import PATH, client, say
from tests.collector.fakes import FakeStore, services


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/meetings?limit=1000", "limit: '1000' must be at most 100."),
        ("/meetings?limit=0", "limit: '0' must be at least 1."),
        ("/meetings?limit=ten", "limit: 'ten' is not a whole number."),
        ("/meetings?cursor=" + "x" * 501, f"cursor: '{'x' * 60}…' must have at most 500 characters."),
        ("/meetings?cursor=3&offset=3", "offset: it cannot be combined with cursor; send one of them."),
        ("/meetings/0", "meeting_id: '0' must be at least 1."),
        ("/search", "q: is missing."),
        ("/search?q=%20", "q: ' ' holds no word."),
        ("/transcripts/by-id/1?pending=perhaps", "pending: 'perhaps' is neither true nor false."),
        ("/transcripts/by-id/1?format=doc", "format: 'doc' is not one of 'json', 'srt', 'vtt' or 'txt'."),
    ],
)
async def test_a_refusal_names_parameter_value_and_remedy(path: str, detail: str):
    """422 with one sentence."""
    async with client(services()) as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (422, {"detail": detail})


@pytest.mark.parametrize("path", ["/transcripts/Zoom/1", "/transcripts/zoom/a%00b", "/search?q=a%00b", "/search?q=%1b"])
async def test_control_characters_reach_neither_database_nor_log(path: str):
    """422, with the value shown harmlessly."""
    async with client(services()) as http:
        answer = await http.get(path)
    assert answer.status_code == 422
    assert answer.text.isprintable()


async def test_a_database_that_is_away_is_503_everywhere():
    """With Retry-After and a plain text, on every route that needs it."""
    store = FakeStore()
    await say(store, "Hello.")
    store.away = True
    paths = ("/meetings", "/meetings/1", PATH, f"{PATH}?format=srt", "/transcripts/by-id/1", "/search?q=hello")
    async with client(services(store=store)) as http:
        for path in paths:
            answer = await http.get(path)
            assert answer.status_code == 503, path
            assert answer.json() == {"detail": "The database does not answer. Try again shortly."}
            assert answer.headers["retry-after"] == "2"
        assert (await http.get("/health/live")).status_code == 200


async def test_unknown_paths_and_methods():
    """404 and 405 in the same form; HEAD is allowed where GET is."""
    async with client(services()) as http:
        assert (await http.get("/nothing")).json() == {"detail": "Not Found"}
        answer: httpx.Response = await http.put("/meetings")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json() == {"detail": "Method not allowed; allowed: GET, HEAD"}


def test_unknown_kinds_of_errors_say_little():
    """What is not in the table gets a general text, never the library's."""
    error = {"type": "some_new_kind", "loc": ("body", "data", 3), "msg": "internals", "input": {"a": 1}}
    assert explain([error]) == "data.3: the value is not valid."
    assert explain([{"type": "dict_type", "loc": ("body",), "input": "x\x1b[2J"}]) == "body: 'x?[2J' is not an object."


def test_values_are_shown_short():
    """A wrong value is cut."""
    assert invalid("from", "x" * 1000, "is not a time").detail == f"from: '{'x' * 60}…' is not a time."
