from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from app.core.errors import StartupError
from app.ops.keys import digest_of
from app.ops.keys_file import MAX_BYTES, KeysFile


def write_keys(path: Path, *names: str) -> Path:
    """A keys file with keys of these names."""
    path.write_text("".join(f'[[key]]\nname = "{name}"\nsha256 = "{digest_of(name).hex()}"\n' for name in names))
    return path


def names(keys: object) -> list[str] | None:
    """The names of what was read; None if nothing was."""
    return [key.name for key in keys] if isinstance(keys, tuple) else None


def test_an_unchanged_file_is_read_once(tmp_path: Path):
    """`reload` gives nothing until the file changes."""
    file = KeysFile(str(write_keys(tmp_path / "keys.toml", "alice")))
    assert names(file.load()) == ["alice"]
    assert file.reload() is None


def test_an_edited_and_a_replaced_file_are_read_again(tmp_path: Path):
    """Both an edit in place and the rename of a new file over it; the second of two equal sizes and times."""
    path = write_keys(tmp_path / "keys.toml", "alice")
    file = KeysFile(str(path))
    file.load()
    write_keys(path, "alice", "bob")
    assert names(file.reload()) == ["alice", "bob"]
    before = path.stat()
    write_keys(tmp_path / "new.toml", "alice", "eve").replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert names(file.reload()) == ["alice", "eve"]


def test_a_swapped_link_is_followed(tmp_path: Path):
    """Kubernetes mounts a secret as a link to a file below `..data`, a link that it swaps."""
    for version, name in (("..1", "alice"), ("..2", "bobby")):
        (tmp_path / version).mkdir()
        os.utime(write_keys(tmp_path / version / "keys.toml", name), (1, 1))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys.toml").symlink_to("..data/keys.toml")
    file = KeysFile(str(tmp_path / "keys.toml"))
    assert names(file.load()) == ["alice"]
    (tmp_path / "..next").symlink_to("..2")
    (tmp_path / "..next").replace(tmp_path / "..data")
    assert names(file.reload()) == ["bobby"]
    assert file.reload() is None


def test_a_wrong_version_is_logged_once_and_the_next_right_one_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Missing, wrong and emptied files give nothing, so that the keys before stay; each is one line."""
    caplog.set_level(logging.INFO, "app.keys")
    path = write_keys(tmp_path / "keys.toml", "alice")
    file = KeysFile(str(path))
    file.load()
    for spoil in (path.unlink, lambda: path.write_text("[[key"), lambda: path.write_text("")):
        spoil()
        assert [file.reload(), file.reload()] == [None, None]
    write_keys(path, "bob")
    assert names(file.reload()) == ["bob"]
    events = [(record.levelname, record.__dict__["fields"].get("reason", "")[:14]) for record in caplog.records]
    assert events == [
        ("ERROR", "cannot be read"),
        ("ERROR", "not valid TOML"),
        ("ERROR", "has no key; ad"),
        ("INFO", ""),
    ]


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path):
    """Editors of Windows write one."""
    path = write_keys(tmp_path / "keys.toml", "alice")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert names(KeysFile(str(path)).load()) == ["alice"]


def refused(path: Path) -> str:
    """Why a process with this file does not start."""
    with pytest.raises(StartupError) as refusal:
        KeysFile(str(path)).load()
    return str(refusal.value)


def test_a_process_does_not_start_with_a_wrong_file(tmp_path: Path):
    """One line names the setting, the file, what is wrong with it and where."""
    path = tmp_path / "keys.toml"
    assert refused(path) == f"API_KEYS_FILE={path}: cannot be read: No such file or directory"
    path.write_bytes(b"\xff")
    assert refused(path) == f"API_KEYS_FILE={path}: not UTF-8 text: byte 0 is invalid"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert refused(path) == f"API_KEYS_FILE={path}: larger than {MAX_BYTES} bytes"
    path.write_text("[[key]]\nname = 'a'")
    assert refused(path) == f"API_KEYS_FILE={path}: line 1, key 'a': sha256 is missing"
    path.unlink()
    os.mkfifo(path)
    assert refused(path) == f"API_KEYS_FILE={path}: not a regular file"
    assert refused(tmp_path) == f"API_KEYS_FILE={tmp_path}: not a regular file"
