from __future__ import annotations

from pathlib import Path

import pytest

from app.commands import doctor
from app.commands.doctor import (
    cublas_status,
    describe_allocator,
    describe_instruction_set,
    encoder_line,
    pulsed_tone,
    run,
)
from app.engine.whisper.encoders.choose import Encoder
from app.ops.tuning import MALLOC
from tests.ops.test_keys_file import write_keys


def report(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the printed report."""
    return capsys.readouterr().out


def test_the_report_of_a_healthy_machine_is_complete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Device, compute types, allocator, threads, model, cuBLAS, limits and a verdict."""
    monkeypatch.setenv("MODEL_SIZE", "demo")
    assert run() == 0
    output = report(capsys)
    for name in ("cores", "GPUs", "cuBLAS", "instruction set", "allocator", "BLAS threads", "open files", "model"):
        assert name in output
    assert "compute type" in output
    assert "replicas x threads" in output
    assert "verdict: the worker will start" in output


def test_a_model_that_cannot_be_loaded_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1; the report of the machine, then the error with which a start would end."""
    monkeypatch.setenv("MODEL_SIZE", "/no/such/model")
    assert run() == 1
    output = report(capsys)
    assert "instruction set" in output
    assert "anyone who can reach this server" in output
    assert "will not start: MODEL_SIZE=/no/such/model" in output.splitlines()[-1]


def test_a_device_that_fails_while_it_is_timed_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library's error is the last line, without a traceback."""

    def lost(*_: object) -> float:
        raise RuntimeError("CUDA failed with error unspecified launch failure")

    monkeypatch.setenv("MODEL_SIZE", "demo")
    monkeypatch.setattr(doctor, "time_window", lost)
    assert run() == 1
    assert "will not start: MODEL_SIZE=demo DEVICE=auto: the model failed (CUDA failed" in report(capsys)


def test_a_slow_machine_gets_a_recommendation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If a window takes longer than its audio, the report recommends a smaller model."""
    monkeypatch.setenv("MODEL_SIZE", "demo")
    monkeypatch.setattr(doctor, "time_window", lambda *_: 9.0)
    assert run() == 0
    assert "too slow for live text" in report(capsys)


def test_the_encoder_is_reported_with_the_reason() -> None:
    """One line, and no advice where the encoder is the one that was asked for or the faster one."""
    line = encoder_line(Encoder("openvino", "as set by ENCODER"), "openvino")
    assert (line.name, line.value, line.advice) == ("encoder", "openvino: as set by ENCODER", "")
    assert encoder_line(Encoder("ctranslate2", "openvino is not faster in a trial"), "auto").advice == ""
    assert encoder_line(Encoder("ctranslate2", "as set by ENCODER"), "ctranslate2").advice == ""


def test_openvino_is_recommended_where_it_is_missing() -> None:
    """The note says how to install it; without it ENCODER=openvino is not possible."""
    missing = Encoder("ctranslate2", "openvino is not installed")
    for asked, begins in (("auto", "OpenVINO runs"), ("openvino", "ENCODER=openvino is not possible: openvino is not")):
        advice = encoder_line(missing, asked).advice
        assert advice.startswith(begins)
        assert advice.endswith("-r requirements-openvino.txt")
    failed = encoder_line(Encoder("ctranslate2", "openvino failed (no kernel)"), "openvino")
    assert failed.advice == "ENCODER=openvino is not possible: openvino failed (no kernel)"


def test_an_open_server_is_noted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without keys the report warns that anyone can use the server."""
    monkeypatch.setenv("MODEL_SIZE", "fake")
    run()
    assert "anyone who can reach this server" in report(capsys)
    monkeypatch.setenv("API_KEYS", "one,two")
    run()
    assert "anyone" not in report(capsys)


def test_the_keys_file_is_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its keys are counted; if it cannot be used, the report says why."""
    monkeypatch.setenv("MODEL_SIZE", "fake")
    monkeypatch.setenv("API_KEYS_FILE", str(write_keys(tmp_path / "keys.toml", "alice", "bob")))
    run()
    text = report(capsys)
    assert f"0, and 2 in {tmp_path}/keys.toml" in text
    assert "anyone" not in text
    (tmp_path / "keys.toml").unlink()
    run()
    assert f"API_KEYS_FILE={tmp_path}/keys.toml: cannot be read" in report(capsys)


def test_cublas_matters_only_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU it is not needed; with one, a missing library is reported with the remedy."""
    monkeypatch.setattr("app.engine.whisper.cublas.preload", lambda: False)
    assert cublas_status(0) == ("not needed without a GPU", "")
    assert "deploy/requirements-cuda.txt" in cublas_status(1)[1]
    monkeypatch.setattr("app.engine.whisper.cublas.preload", lambda: True)
    assert cublas_status(1) == ("libcublas.so.12", "")


def test_the_allocator_is_described() -> None:
    """The worker's settings, the operator's, or the default."""
    assert describe_allocator(MALLOC) == "glibc, keeping its memory, huge pages"
    assert describe_allocator("glibc.malloc.arena_max=2") == "glibc, GLIBC_TUNABLES=glibc.malloc.arena_max=2"
    assert describe_allocator("") == "the system's default"


def test_the_instruction_set_is_described() -> None:
    """The best one of the CPU, and whether CTranslate2 or the environment chooses."""
    assert describe_instruction_set(frozenset({"avx", "avx2"}), None) == "avx2, chosen by CTranslate2"
    assert describe_instruction_set(frozenset({"avx512_vnni"}), "AVX512") == "avx512_vnni, CTranslate2 is set to AVX512"


def test_the_test_tone_is_loud_and_in_range() -> None:
    """Five seconds within [-1, 1], not silent."""
    pcm = pulsed_tone()
    assert len(pcm) == 80_000
    assert 0.1 < abs(pcm).max() <= 1.0
