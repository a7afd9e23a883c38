from __future__ import annotations

from app.collector.store.tombstones import Tombstone, is_refused, room_hash, session_hash, uid_hash


def test_hashes_tell_rooms_and_sessions_apart():
    """Parts of a name never run together, and no name shows."""
    assert room_hash(1, "a", "bc") != room_hash(1, "ab", "c") != room_hash(2, "ab", "c")
    assert session_hash("r", "s") != uid_hash("s")
    assert "secret" not in room_hash(1, "zoom", "secret")


def test_a_tombstone_refuses_within_its_times():
    """Both ends belong to it."""
    stones = {"h": [Tombstone("room", "h", 10, 20, 99)]}
    assert [is_refused(stones, "h", ms) for ms in (9, 10, 20, 21)] == [False, True, True, False]
    assert not is_refused(stones, "other", 15)
