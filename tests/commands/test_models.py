from __future__ import annotations

import pytest

from app.commands import models
from app.engine.whisper import packaged
from tests.engine.whisper import package


@pytest.fixture(autouse=True)
def _no_openvino(monkeypatch):
    """Whatever is installed here, nothing is converted unless a test says so."""
    monkeypatch.setattr("app.engine.whisper.encoders.choose.openvino_installed", lambda: False)


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


def test_the_packaged_model_is_verified_without_the_hub(monkeypatch, capsys, tmp_path):
    """MODEL_SIZE=tiny.en needs no download where its package is installed; every file of it is counted."""
    monkeypatch.setattr(packaged, "CHECKSUMS", package.install(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("app.engine.whisper.model._cached", lambda _: None)
    monkeypatch.setenv("MODEL_SIZE", "tiny.en")
    assert models.main(["fetch"]) == 0
    output = capsys.readouterr().out
    assert output == f"tiny.en: {tmp_path / packaged.PACKAGE / 'model'} ({len(packaged.CHECKSUMS)} files verified)\n"


@pytest.mark.parametrize(
    ("device", "encoder", "installed", "prepared"),
    [
        ("cpu", "auto", True, ["demo on cpu"]),
        ("cpu", "openvino", True, ["demo on cpu"]),
        ("cpu", "auto", False, []),
        ("cpu", "ctranslate2", True, []),
        ("cuda", "auto", True, []),
    ],
)
def test_the_encoder_is_converted_where_a_worker_would(monkeypatch, device, encoder, installed, prepared):
    """Workers whose model volume is read-only find the conversion; on a GPU or without OpenVINO there is none."""
    seen: list[object] = []
    monkeypatch.setattr("app.engine.build.load_model", lambda settings: f"{settings.model_size} on {settings.device}")
    monkeypatch.setattr("app.engine.whisper.encoders.choose.openvino_installed", lambda: installed)
    monkeypatch.setattr("app.engine.whisper.encoders.choose.prepare_encoder", seen.append)
    monkeypatch.setattr("app.ops.logs.configure", lambda **_: None)
    monkeypatch.setenv("MODEL_SIZE", "demo")
    monkeypatch.setenv("ENCODER", encoder)
    assert models.main(["fetch", "--for-device", device]) == 0
    assert seen == prepared


def test_the_best_local_model_is_printed(monkeypatch, capsys):
    """One name for the device of this machine, and nothing else."""
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setattr("app.engine.whisper.model.choose_local", lambda device: f"best on {device}")
    assert models.main(["local"]) == 0
    assert capsys.readouterr().out == "best on cpu\n"


def test_a_device_that_is_not_there_is_one_line(monkeypatch, capsys):
    """Exit code 1; the error gives the value."""
    monkeypatch.setenv("DEVICE", "cuda")
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    assert models.main(["local"]) == 1
    assert capsys.readouterr().err.startswith("error: DEVICE=cuda: ")
