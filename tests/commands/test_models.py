from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from app.commands import models as fetch_model
from app.core.errors import StartupError


def snapshot(folder: Path, weights: bytes) -> Path:
    """Lay a model out as the hub's cache does: names that point to contents stored under their checksum."""
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
    """One file is stored under its SHA-256; the small one has another kind of name and is left out."""
    assert fetch_model.verify(snapshot(tmp_path, b"weights" * 1000)) == 1


def test_a_damaged_file_is_named(tmp_path):
    """One flipped byte: the file, and what to do."""
    model = snapshot(tmp_path, b"weights" * 1000)
    blob = (model / "model.bin").resolve()
    blob.write_bytes(b"W" + blob.read_bytes()[1:])
    with pytest.raises(StartupError, match=r"model\.bin: damaged"):
        fetch_model.verify(model)


def test_the_bundled_model_needs_no_download(monkeypatch, capsys):
    """MODEL_SIZE=demo is there already."""
    monkeypatch.setenv("MODEL_SIZE", "demo")
    assert fetch_model.main(["fetch"]) == 0
    assert capsys.readouterr().out.startswith("demo: ")


def test_an_unknown_model_is_one_line(monkeypatch, capsys):
    """Exit code 1 and the value at fault."""
    monkeypatch.setenv("MODEL_SIZE", "enormous")
    assert fetch_model.main(["fetch"]) == 1
    assert capsys.readouterr().err.startswith("error: MODEL_SIZE=enormous")


@pytest.mark.parametrize(("device", "meant"), [("cuda", "large-v3-turbo"), ("cpu", "medium")])
def test_the_model_is_the_one_that_the_workers_will_want(monkeypatch, capsys, tmp_path, device, meant):
    """MODEL_SIZE=auto means what it means on the workers' device, not on the one that downloads."""
    monkeypatch.delenv("MODEL_SIZE", raising=False)
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setattr("app.engine.whisper.model.locate", lambda _: tmp_path)
    assert fetch_model.main(["fetch", "--for-device", device]) == 0
    assert capsys.readouterr().out.startswith(f"{meant}: ")
