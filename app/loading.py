"""Settings -> a loaded engine: what the server and the command line both do first. Blocking."""

from __future__ import annotations

from app.engine import model as models
from app.engine.engine import Engine, EngineInfo, WhisperEngine
from app.engine.fake import FakeEngine
from app.engine.model import Model
from app.engine.transcriber import Transcriber
from app.settings import Settings

DEFAULT_SLOTS = {"cpu": 4, "cuda": 32}


def load_model(settings: Settings) -> Model:
    """Load the weights.

    Raises:
        StartupError: one line, with the value at fault and the remedy.
    """
    return models.load(
        model_size=settings.model_size,
        device=settings.device,
        compute_type=settings.compute_type,
        cpu_threads=settings.cpu_threads,
    )


def transcriber_of(model: Model, settings: Settings) -> Transcriber:
    """The blocking half of the engine, without threads or loop."""
    return Transcriber(model, beam_size=settings.beam_size, vad_filter=settings.vad_filter)


def build_engine(settings: Settings) -> Engine:
    """Load the model and run it once, so that the first request pays for nothing.

    Raises:
        StartupError: one line, with the value at fault and the remedy.
    """
    if settings.model_size == "fake":
        return FakeEngine(max_audio_s=settings.max_audio_seconds)
    model = load_model(settings)
    models.warm_up(model)
    info = EngineInfo(
        model=model.name,
        device=model.device,
        compute_type_asked=model.compute_type_asked,
        compute_type=model.compute_type,
        translates=model.translates,
    )
    return WhisperEngine(
        transcriber_of(model, settings),
        info,
        slots=slots_for(settings, model.device),
        max_audio_s=settings.max_audio_seconds,
    )


def slots_for(settings: Settings, device: str) -> int:
    """The number asked for, or what suits the device."""
    return settings.max_concurrent_transcriptions or DEFAULT_SLOTS[device]
