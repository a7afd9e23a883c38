from __future__ import annotations

import pytest

from app.commands import models


def test_the_bundled_model_needs_no_download(monkeypatch, capsys):
    """MODEL_SIZE=demo is part of the repository."""
    monkeypatch.setenv("MODEL_SIZE", "demo")
    assert models.main(["fetch"]) == 0
    assert capsys.readouterr().out.startswith("demo: ")


def test_an_unknown_model_is_one_line(monkeypatch, capsys):
    """Exit code 1; the error gives the value."""
    monkeypatch.setenv("MODEL_SIZE", "enormous")
    assert models.main(["fetch"]) == 1
    assert capsys.readouterr().err.startswith("error: MODEL_SIZE=enormous")


@pytest.mark.parametrize(("device", "model"), [("cuda", "large-v3-turbo"), ("cpu", "medium")])
def test_the_fetched_model_is_the_one_that_the_workers_load(monkeypatch, capsys, tmp_path, device, model):
    """MODEL_SIZE=auto is resolved for the workers' device, not for the machine that downloads."""
    monkeypatch.delenv("MODEL_SIZE", raising=False)
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setattr("app.engine.whisper.model.locate", lambda _: tmp_path)
    assert models.main(["fetch", "--for-device", device]) == 0
    assert capsys.readouterr().out.startswith(f"{model}: ")
