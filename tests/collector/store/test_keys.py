from __future__ import annotations

import asyncio

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


async def test_a_key_is_known_while_nothing_can_be_written(store: Store):
    """Its last use is written down beside the request, which does not wait for it."""
    await store.create_key(1, "ab" * 32, prefix="", name="", scopes=frozenset({"read"}), expires_ms=None, now_ms=0)
    async with store._database._write_lock:
        async with asyncio.timeout(5):
            assert await store.key("ab" * 32, now_ms=70_000) is not None
            assert await store.key("ab" * 32, now_ms=70_000) is not None


async def test_the_store_says_whether_there_is_a_key(store: Store):
    """One that has expired does not count."""
    assert not await store.has_keys(now_ms=0)
    await store.create_key(1, "ab" * 32, prefix="", name="", scopes=frozenset({"read"}), expires_ms=5000, now_ms=0)
    assert await store.has_keys(now_ms=4999)
    assert not await store.has_keys(now_ms=5000)
