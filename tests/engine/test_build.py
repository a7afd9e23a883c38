from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.core.errors import StartupError
from app.core.options import Options
from app.engine.build import build_engine, encoder_of, load_model, parallelism_for, slots_for, transcriber_of
from app.engine.failures import FailureWatch
from app.engine.fake import FakeEngine
from app.engine.whisper.calls import SharedModel
from app.engine.whisper.encoders.choose import Encoder
from tests.clients import settings_for_test
from tests.samples import pcm_of


@pytest.mark.parametrize(("asked", "device", "slots"), [(0, "cpu", 8), (0, "cuda", 32), (3, "cpu", 3), (3, "cuda", 3)])
def test_slots(asked: int, device: str, slots: int):
    """The number from the settings; 0 is the device's default."""
    assert slots_for(settings_for_test(max_concurrent_transcriptions=asked), device) == slots


def test_fake_needs_no_model():
    """MODEL_SIZE=fake loads nothing."""
    assert isinstance(build_engine(settings_for_test()), FakeEngine)


def test_model_that_is_not_there_is_one_line(tmp_path: Path):
    """The message names the value."""
    missing = str(tmp_path / "no-such-model")
    with pytest.raises(StartupError) as refused:
        load_model(settings_for_test(model_size=missing))
    assert missing in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_demo_engine_is_warm_and_says_what_runs():
    """The bundled model loads, has run once, and reports its name, device and compute type."""
    engine = build_engine(settings_for_test(model_size="demo", device="cpu", compute_type="int8"))
    try:
        assert engine.info.model.endswith("demo")
        assert (engine.info.device, engine.info.compute_type_asked) == ("cpu", "int8")
        assert engine.info.compute_type
    finally:
        await engine.close()


def test_command_line_gets_the_same_model_without_threads():
    """Transcriber and server share one loader."""
    settings = settings_for_test(model_size="demo", device="cpu", beam_size=1)
    transcriber = transcriber_of(load_model(settings), settings)
    transcriber.check(Options(language="en"))
    transcriber.close()


def test_the_encoder_is_the_one_of_the_setting_and_is_logged(caplog: pytest.LogCaptureFixture):
    """ENCODER=ctranslate2 tries nothing out; the log says what runs the encoder and why."""
    settings = settings_for_test(model_size="demo", device="cpu", encoder="ctranslate2")
    with caplog.at_level(logging.INFO):
        encoder = encoder_of(load_model(settings), settings)
    assert (encoder.name, encoder.encode) == ("ctranslate2", None)
    [line] = [record for record in caplog.records if record.getMessage() == "encoder chosen"]
    assert line.__dict__["fields"] == {"encoder": "ctranslate2", "reason": "as set by ENCODER"}


def test_the_chosen_encoder_is_used():
    """A request's windows go to the encoder that the transcriber was built with."""
    settings = settings_for_test(model_size="demo", device="cpu", beam_size=1)
    model, lengths = load_model(settings), list[int]()

    def encode(features: np.ndarray) -> np.ndarray:
        lengths.append(features.shape[2])
        return SharedModel(model.whisper.model).encode(features)

    transcriber = transcriber_of(model, settings, encoder=Encoder("openvino", "for this test", encode))
    try:
        list(transcriber.events(pcm_of("en-01.wav"), Options(language="en"), lambda: False))
    finally:
        transcriber.close()
    assert lengths


@pytest.mark.parametrize(("device", "windows"), [("cpu", 8), ("cuda", 16)])
def test_parallelism_is_what_was_asked_for_and_the_table_for_the_rest(device: str, windows: int):
    """REPLICAS, CPU_THREADS and MAX_BATCH_SIZE win; 0 leaves each to the device."""
    asked = parallelism_for(settings_for_test(replicas=3, cpu_threads=5, max_batch_size=7), device)
    assert (asked.replicas, asked.threads, asked.max_batch) == (3, 5, 7)
    assert parallelism_for(settings_for_test(), device).max_batch == windows


async def test_engine_says_how_its_work_is_spread():
    """The engine reports its replicas, threads and batch, and is not critical."""
    settings = settings_for_test(model_size="demo", device="cpu", replicas=1, cpu_threads=2, max_batch_size=3)
    engine = build_engine(settings)
    try:
        assert (engine.info.replicas, engine.info.threads, engine.info.max_batch) == (1, 2, 3)
        assert engine.critical is None
    finally:
        await engine.close()


async def test_what_loading_needed_is_returned_last(monkeypatch: pytest.MonkeyPatch):
    """Silence is encoded before: a new worker does not hold the memory of an encoder call."""
    steps = list[str]()
    encode_silence = SharedModel.encode_silence

    def recorded(shared: SharedModel) -> None:
        encode_silence(shared)
        steps.append("silence")

    monkeypatch.setattr(SharedModel, "encode_silence", recorded)
    monkeypatch.setattr("app.engine.build.release_memory", lambda: steps.append("released"))
    engine = build_engine(
        settings_for_test(model_size="demo", device="cpu", audio_context="auto", encoder="ctranslate2")
    )
    await engine.close()
    assert steps == ["silence", "released"]


def test_lost_device_reaches_the_engine():
    """A sticky error in a call makes the whole engine critical: loading joins the watch with the model threads."""
    settings = settings_for_test(model_size="demo", device="cpu", audio_context="full", encoder="ctranslate2")
    model, failures = load_model(settings), FailureWatch()

    def lost(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failed with error unspecified launch failure")

    weights = model.whisper.model
    model.whisper.model = SimpleNamespace(
        device="cpu", is_multilingual=True, device_index=[0], n_mels=weights.n_mels, encode=lost
    )
    transcriber = transcriber_of(model, settings, failures)
    with pytest.raises(RuntimeError, match="CUDA failed"):
        list(transcriber.events(pcm_of("en-00.wav"), Options(language="en"), lambda: False))
    assert failures.critical
    transcriber.close()


@pytest.mark.parametrize(("audio_context", "n_positions"), [("auto", 500), ("full", 3000)])
def test_a_cpu_encodes_short_windows_at_their_own_length(audio_context: str, n_positions: int):
    """AUDIO_CONTEXT=auto on a CPU: a clip of 2 s is encoded as 5 s; full: as 30 s."""
    settings = settings_for_test(model_size="demo", device="cpu", audio_context=audio_context, encoder="ctranslate2")
    model, frames = load_model(settings), list[int]()
    whisper = model.whisper.model
    encode = whisper.encode

    def recorded(features: Any, **options: Any) -> Any:
        frames.append(features.shape[-1])
        return encode(features, **options)

    model.whisper.model = SimpleNamespace(
        device="cpu", is_multilingual=True, device_index=[0], n_mels=whisper.n_mels, encode=recorded,
        generate=whisper.generate, detect_language=whisper.detect_language, align=whisper.align,
    )  # fmt: skip
    transcriber = transcriber_of(model, settings)
    list(transcriber.events(pcm_of("en-00.wav"), Options(language="en"), lambda: False))
    transcriber.close()
    assert frames[-1] == n_positions
