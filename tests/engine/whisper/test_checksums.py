from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from app.core.errors import StartupError
from app.engine.whisper.checksums import verify


def snapshot(folder: Path, weights: bytes) -> Path:
    """Create a model as in the hub's cache: links to contents that are stored under their checksum."""
    blobs, model = folder / "blobs", folder / "snapshots" / "1"
    blobs.mkdir(parents=True)
    model.mkdir(parents=True)
    for name, blob, data in (
        ("model.bin", hashlib.sha256(weights).hexdigest(), weights),
        ("config.json", "0123456789012345678901234567890123456789", b"{}"),
    ):
        (blobs / blob).write_bytes(data)
        (model / name).symlink_to(blobs / blob)
    return model


def test_large_files_are_checked_against_their_names(tmp_path):
    """The large file is stored under its SHA-256; the small one has another kind of name and is skipped."""
    assert verify(snapshot(tmp_path, b"weights" * 1000)) == 1


def test_a_damaged_file_is_named(tmp_path):
    """One flipped byte: the error gives the file and the remedy."""
    model = snapshot(tmp_path, b"weights" * 1000)
    blob = (model / "model.bin").resolve()
    blob.write_bytes(b"W" + blob.read_bytes()[1:])
    with pytest.raises(StartupError, match=r"model\.bin: damaged"):
        verify(model)
