from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.ops.keys import Key
from app.ops.keys_file import KeysFile
from app.ops.keys_watch import watch_keys
from tests.clients import until
from tests.ops.test_keys_file import write_keys


async def test_changes_are_passed_on_and_errors_are_not(tmp_path: Path):
    """Each right version arrives once, also after a wrong one."""
    path = write_keys(tmp_path / "keys.toml", "alice")
    file = KeysFile(str(path))
    file.load()
    seen: list[tuple[Key, ...]] = []
    watch = asyncio.create_task(watch_keys(file, seen.append, every_s=0.001))
    write_keys(path, "bob")
    await until(lambda: len(seen) == 1)
    path.unlink()
    write_keys(path, "carol", "dave")
    await until(lambda: len(seen) == 2)
    watch.cancel()
    assert [[key.name for key in keys] for keys in seen] == [["bob"], ["carol", "dave"]]


async def test_an_error_does_not_end_it(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A key that is removed later must still be refused: a bug of whoever is told is logged."""
    path = write_keys(tmp_path / "keys.toml", "alice")
    file = KeysFile(str(path))
    file.load()
    seen: list[tuple[Key, ...]] = []

    def on_keys(keys: tuple[Key, ...]) -> None:
        seen.append(keys)
        if len(seen) == 1:
            raise RuntimeError("a bug")

    watch = asyncio.create_task(watch_keys(file, on_keys, every_s=0.001))
    write_keys(path, "bob")
    await until(lambda: len(seen) == 1)
    write_keys(path, "carol", "dave")
    await until(lambda: len(seen) == 2)
    watch.cancel()
    assert "a bug" in "".join(str(record.exc_info) for record in caplog.records)
