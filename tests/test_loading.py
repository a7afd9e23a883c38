from __future__ import annotations

from pathlib import Path

import pytest

from app.engine.fake import FakeEngine
from app.errors import StartupError
from app.loading import build_engine, load_model, slots_for, transcriber_of
from tests.clients import settings_for_test


@pytest.mark.parametrize(("asked", "device", "slots"), [(0, "cpu", 4), (0, "cuda", 32), (3, "cpu", 3), (3, "cuda", 3)])
def test_slots(asked: int, device: str, slots: int):
    """The number asked for; 0 is what suits the device."""
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
    """The bundled model loads, has run once, and names itself, its device and its arithmetic."""
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
    assert transcriber_of(load_model(settings), settings)
