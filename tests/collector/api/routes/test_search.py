from __future__ import annotations

from typing import Any

from app.collector.facts import Room
from app.collector.rows import Hit, Page
from tests.collector.api.said import client, say
from tests.collector.fakes import FakeStore, services


class AskedStore(FakeStore):
    """A store that notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []

    async def search(self, owner_id: int, query: str, **kwargs: Any) -> Page[Hit]:
        """Search."""
        self.asked.append({"owner_id": owner_id, "query": query, **kwargs})
        return await super().search(owner_id, query, **kwargs)


async def test_hits_have_meeting_segment_and_snippet():
    """Of the key's owner only."""
    store = AskedStore()
    await say(store, "The budget is fine.", "Something else.")
    await say(store, "A foreign budget.", room=Room(platform="zoom", native_id="1", owner_id=2), session="c2")
    async with client(services(store=store)) as http:
        body = (await http.get("/search", params={"q": "budget"})).json()
    assert [each["segment"]["text"] for each in body["hits"]] == ["The budget is fine."]
    assert body["hits"][0]["meeting"]["native_meeting_id"] == "zqe-gfmd-knr"
    assert "snippet" in body["hits"][0]
    assert body["next_cursor"] is None


async def test_filters_reach_the_store():
    """Times in ms, the rest as it is."""
    store = AskedStore()
    query = {
        "q": '"two words" begin*',
        "platform": "zoom",
        "from": "2026-02-15",
        "to": "2026-02-15T09:20:03.101Z",
        "speaker": "Ann O'Neill",
        "limit": "5",
        "cursor": "abc",
    }
    async with client(services(store=store)) as http:
        assert (await http.get("/search", params=query)).status_code == 200
    assert store.asked == [
        {
            "owner_id": 1,
            "query": '"two words" begin*',
            "platform": "zoom",
            "from_ms": 1_771_113_600_000,
            "to_ms": 1_771_147_203_101,
            "speaker": "Ann O'Neill",
            "limit": 5,
            "cursor": "abc",
        }
    ]


async def test_times_in_the_wrong_order_are_refused():
    """422 that names both."""
    async with client(services()) as http:
        answer = await http.get("/search", params={"q": "x", "from": "2026-02-16", "to": "2026-02-15"})
    expected = {"detail": "from: '2026-02-16' is later than to='2026-02-15'; exchange them."}
    assert (answer.status_code, answer.json()) == (422, expected)
