from __future__ import annotations

from app.collector.store.locks import lock_key, room_lock, session_locks


def test_sessions_without_a_name_need_no_lock():
    """Producers that name no session would all wait for each other."""
    assert session_locks(["c1", None, "", "-", "c1"]) == {"uid:c1"}


def test_locks_of_rooms_and_sessions_differ():
    """PostgreSQL takes numbers of 64 bits, the same in every process."""
    keys = {lock_key(name) for name in (room_lock(7), room_lock("7a"), *session_locks(["7", "7a"]))}
    assert len(keys) == 4
    assert all(-(1 << 63) <= key < 1 << 63 for key in keys)
    assert lock_key("room:7") == lock_key(room_lock(7))
