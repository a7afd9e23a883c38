from __future__ import annotations

from app.http.key_limits.counters import OwnCounters


async def test_counters_go_up_and_down():
    """Each for itself; one that was never used is 0."""
    counters = OwnCounters()
    assert [await counters.add("a", 2, expires_s=60), await counters.add("a", -1, expires_s=60)] == [2, 1]
    assert [await counters.read("a"), await counters.read("b")] == [1, 0]


async def test_a_key_has_so_many_running_requests():
    """The limit is of the others; leaving makes room, and leaving twice is harmless."""
    counters = OwnCounters()
    assert [await counters.enter("alice", request, limit=2) for request in "abc"] == [True, True, False]
    assert await counters.enter("bob", "d", limit=None)
    assert await counters.running("alice") == 2
    await counters.leave("alice", "a")
    await counters.leave("alice", "a")
    assert await counters.enter("alice", "e", limit=2)
    assert {name: set(requests) for name, requests in counters.all_running().items()} == {
        "alice": {"b", "e"},
        "bob": {"d"},
    }
    await counters.leave("bob", "d")
    assert await counters.running("bob") == 0
    assert "bob" not in counters.all_running()
