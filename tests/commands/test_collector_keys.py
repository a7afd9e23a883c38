from __future__ import annotations

import argparse
import hashlib

import pytest

from app.collector.rows import ApiKey
from app.commands.collector_keys import create, main, read_scopes
from tests.collector.fake_store import FakeStore


async def test_only_the_hash_is_stored():
    """The key is long and random, and opens what it was made for."""
    store = FakeStore()
    keys = [await create(store, owner_id=7, name="", scopes=frozenset({"read"}), days=0, now_ms=5) for _ in range(2)]
    assert keys[0] != keys[1]
    assert all(key.startswith("stt_") and len(key) > 40 for key in keys)
    assert store.keys[hashlib.sha256(keys[0].encode()).hexdigest()] == ApiKey(7, frozenset({"read"}))


def test_scopes_are_a_closed_set():
    """Spaces are allowed; nothing, or another word, is not."""
    assert read_scopes("read, write") == {"read", "write"}
    for listed in ("", "read,all"):
        with pytest.raises(argparse.ArgumentTypeError, match="read, write, delete"):
            read_scopes(listed)


@pytest.mark.parametrize("arguments", [["--owner", "0"], ["--days", "-1"], ["--scopes", "admin"]])
def test_unusable_arguments_are_refused(arguments: list[str]):
    """With argparse's exit status."""
    with pytest.raises(SystemExit) as ended:
        main(["token", "create", *arguments])
    assert ended.value.code == 2
