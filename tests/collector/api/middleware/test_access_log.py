from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from tests.collector.api.said import PATH, client, say
from tests.collector.fakes import FakeStore, services
from tests.spans import SPAN_ID, TRACE_ID, TRACEPARENT, recorded


def fields(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The fields of each line about a request."""
    return [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "request"]


async def test_a_line_names_the_route_and_no_address(caplog: pytest.LogCaptureFixture):
    """Neither the room nor the query is in it, and so no key."""
    store = FakeStore()
    await say(store, "A secret.")
    with caplog.at_level(logging.DEBUG):
        async with client(services(store=store), key="key-1") as http:
            answer = await http.get(PATH, params={"api_key": "key-2", "format": "txt"})
            await http.get("/search", params={"q": "secret"})
            await http.get("/unknown/key-3")
    assert [(each["method"], each["route"], each["status"]) for each in fields(caplog)] == [
        ("GET", "/transcripts/{platform}/{native_id}", 200),
        ("GET", "/search", 200),
        ("GET", "other", 404),
    ]
    assert fields(caplog)[0]["request_id"] == answer.headers["x-request-id"]
    written = str([record.__dict__ for record in caplog.records if record.name.startswith("app")])
    for secret in ("key-", "secret", "zqe-gfmd-knr", "Alice"):
        assert secret not in written


async def test_durations_are_measured_by_route():
    """The label is the template, so that clients cannot invent labels; HEAD counts as its route."""
    async with client(services()) as http:
        await http.get("/meetings/1")
        await http.head("/meetings/2")
        await http.get("/invented/1")
        text = (await http.get("/metrics")).text
    assert 'collector_http_seconds_count{route="/meetings/{meeting_id}"} 2.0' in text
    assert 'collector_http_seconds_count{route="other"} 1.0' in text
    assert "invented" not in text


async def test_request_ids_are_repeated_if_they_are_harmless():
    """Others are replaced."""
    async with client(services()) as http:
        kept = await http.get("/health/live", headers={"X-Request-Id": "abc-1"})
        replaced = await http.get("/health/live", headers={"X-Request-Id": "a b"})
    assert kept.headers["x-request-id"] == "abc-1"
    assert replaced.headers["x-request-id"].startswith("req_")


async def test_probes_are_logged_at_debug_level(caplog: pytest.LogCaptureFixture):
    """They come every few seconds."""
    with caplog.at_level(logging.INFO):
        async with client(services()) as http:
            await http.get("/health")
            await http.get("/metrics")
    assert fields(caplog) == []


async def test_a_request_is_a_span_that_names_its_route():
    """In the caller's trace, without the room, the query and the key; probes have none."""
    store = FakeStore()
    await say(store, "A secret.")
    with recorded() as (tracer, spans):
        async with client(replace(services(store=store), tracer=tracer), key="key-1") as http:
            headers = {"traceparent": TRACEPARENT}
            await http.get(PATH, params={"api_key": "key-2", "q": "secret"}, headers=headers)
            await http.get("/unknown/key-3", headers={"traceparent": "x"})
            await http.get("/health/live", headers=headers)
    first, second = spans.seen()
    assert (first.name, first.trace_id, first.parent_id) == (
        "GET /transcripts/{platform}/{native_id}",
        TRACE_ID,
        SPAN_ID,
    )
    assert first.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "http.route": "/transcripts/{platform}/{native_id}",
    }
    assert (second.name, second.parent_id) == ("GET", "")
