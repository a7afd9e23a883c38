from __future__ import annotations

import pytest

from app.commands import doctor
from app.commands.doctor import allocator, cublas_found, examine, hum, instruction_set
from app.ops.tuning import MALLOC


def report(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed."""
    return capsys.readouterr().out


def test_a_healthy_machine_is_told_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Device, arithmetic, allocator, threads, model, cuBLAS, limits and a verdict are there."""
    monkeypatch.setenv("MODEL_SIZE", "demo")
    assert examine() == 0
    said = report(capsys)
    for name in ("cores", "GPUs", "cuBLAS", "instruction set", "allocator", "BLAS threads", "open files", "model"):
        assert name in said
    assert "compute type" in said
    assert "replicas x threads" in said
    assert "verdict: the worker will start" in said


def test_a_model_that_cannot_load_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, what is known of the machine, and then the line that the start would end with."""
    monkeypatch.setenv("MODEL_SIZE", "/no/such/model")
    assert examine() == 1
    said = report(capsys)
    assert "instruction set" in said
    assert "everybody may use this server" in said
    assert "will not start: MODEL_SIZE=/no/such/model" in said.splitlines()[-1]


def test_a_device_that_fails_while_it_is_timed_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the library raises is the last line, not a traceback."""

    def lost(*_: object) -> float:
        raise RuntimeError("CUDA failed with error unspecified launch failure")

    monkeypatch.setenv("MODEL_SIZE", "demo")
    monkeypatch.setattr(doctor, "timed", lost)
    assert examine() == 1
    assert "will not start: MODEL_SIZE=demo DEVICE=auto: the model failed (CUDA failed" in report(capsys)


def test_a_slow_machine_is_told_what_to_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A window that takes longer than it lasts gets a smaller model recommended."""
    monkeypatch.setenv("MODEL_SIZE", "demo")
    monkeypatch.setattr(doctor, "timed", lambda *_: 9.0)
    assert examine() == 0
    assert "too slow for live text" in report(capsys)


def test_an_open_server_is_noted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without keys the report says who may use the server; with keys it does not."""
    monkeypatch.setenv("MODEL_SIZE", "fake")
    examine()
    assert "everybody may use this server" in report(capsys)
    monkeypatch.setenv("API_KEYS", "one,two")
    examine()
    assert "everybody" not in report(capsys)


def test_cublas_matters_only_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU it is not needed; with one, a missing library comes with its remedy."""
    monkeypatch.setattr("app.engine.whisper.cublas.preload", lambda: False)
    assert cublas_found(0) == ("not needed without a GPU", "")
    assert "deploy/requirements-cuda.txt" in cublas_found(1)[1]
    monkeypatch.setattr("app.engine.whisper.cublas.preload", lambda: True)
    assert cublas_found(1) == ("libcublas.so.12", "")


def test_the_allocator_is_what_this_process_was_given() -> None:
    """The worker's own settings, the operator's, or none."""
    assert allocator(MALLOC) == "glibc, keeping its memory, huge pages"
    assert allocator("glibc.malloc.arena_max=2") == "glibc, GLIBC_TUNABLES=glibc.malloc.arena_max=2"
    assert allocator("") == "as the system has it"


def test_the_instruction_set_says_who_chose() -> None:
    """The best the CPU has, and whether CTranslate2 was told."""
    assert instruction_set(frozenset({"avx", "avx2"}), None) == "avx2, CTranslate2 chooses"
    assert instruction_set(frozenset({"avx512_vnni"}), "AVX512") == "avx512_vnni, CTranslate2 told to use AVX512"


def test_the_test_sound_is_loud_and_bounded() -> None:
    """Five seconds within [-1, 1], not silent."""
    pcm = hum()
    assert len(pcm) == 80_000
    assert 0.1 < abs(pcm).max() <= 1.0
