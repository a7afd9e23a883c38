from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from app.core.errors import StartupError
from app.http.key_limits import worker_keys
from app.http.key_limits.worker_keys import WorkerKeys
from app.ops.keys import Key
from app.ops.keys_watch import watch_keys
from tests.clients import until
from tests.ops.test_keys_file import write_keys


def test_without_a_file_there_are_only_keys_without_limits():
    """None makes a server open, also with a Redis that others use."""
    assert WorkerKeys().ring.is_open
    keys = WorkerKeys(["sk-1"], redis_url="redis://127.0.0.1:1/0")
    assert not keys.ring.is_open
    assert keys.ring.find("sk-1") is not None


def test_a_wrong_file_stops_the_start(tmp_path: Path):
    """With one line."""
    with pytest.raises(StartupError, match="API_KEYS_FILE="):
        WorkerKeys(file=str(tmp_path / "none.toml"))


async def test_a_removed_key_is_refused_and_an_added_one_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While the process runs; whoever counts keys is told the new ones."""

    async def quickly(file, on_keys):
        await watch_keys(file, on_keys, every_s=0.001)

    monkeypatch.setattr(worker_keys, "watch_keys", quickly)
    path = write_keys(tmp_path / "keys.toml", "alice", "bob")
    told: list[list[str]] = []

    def on_named(keys: Iterable[Key]) -> None:
        told.append([key.name for key in keys])

    keys = WorkerKeys(["sk-1"], file=str(path), on_named=on_named)
    following = asyncio.create_task(keys.keep_up_to_date())
    assert keys.ring.find("alice") is not None
    write_keys(tmp_path / "new.toml", "bob", "carol").replace(path)
    await until(lambda: len(told) == 2)
    found = [name for name in ("sk-1", "alice", "bob", "carol") if keys.ring.find(name)]
    following.cancel()
    assert found == ["sk-1", "bob", "carol"]
    assert told == [["alice", "bob"], ["bob", "carol"]]


async def test_redis_is_asked_only_for_keys_with_limits(tmp_path: Path):
    """One that is away at the start is no reason not to start; the connections are closed at the end."""
    file = write_keys(tmp_path / "keys.toml", "alice")
    keys = WorkerKeys(file=str(file), redis_url="redis://127.0.0.1:1/0")
    following = asyncio.create_task(keys.keep_up_to_date())
    alice = keys.ring.find("alice")
    assert alice is not None
    counted = await keys.limiter.let_in(alice)
    assert (await keys.limiter.usage(alice)).running == 1
    await keys.limiter.end(counted, audio_s=0, undo=False)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
