from __future__ import annotations

from app.collector.rows import ApiKey
from app.collector.store.store import Store


async def test_a_key_is_known_until_it_expires(store: Store):
    """By its hash, with owner and scopes; the owner is created with it."""
    await store.create_key(
        9, "ab" * 32, prefix="stt_", name="laptop", scopes=frozenset({"read", "write"}), expires_ms=5000, now_ms=1000
    )
    assert await store.key("ab" * 32, now_ms=4999) == ApiKey(9, frozenset({"read", "write"}))
    assert await store.key("ab" * 32, now_ms=4999) is not None
    assert await store.key("ab" * 32, now_ms=5000) is None
    assert await store.key("cd" * 32, now_ms=1000) is None
