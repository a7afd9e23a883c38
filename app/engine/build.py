"""Build the engine from the settings, for the server and the command line. Blocking."""

from __future__ import annotations

import logging

from app.engine.batching.batcher import Batcher
from app.engine.engine import Engine, EngineInfo, WhisperEngine
from app.engine.failures import FailureWatch
from app.engine.fake import FakeEngine
from app.engine.parallelism import Parallelism, choose
from app.engine.transcriber import Transcriber
from app.engine.whisper import model as models
from app.engine.whisper.calls import SharedModel
from app.engine.whisper.encoders.choose import Encoder, choose_encoder
from app.engine.whisper.model import Model
from app.ops.machine import available_cores
from app.ops.tuning import release_memory
from app.settings.worker import WorkerSettings

log = logging.getLogger("app.engine")

# Twice the rows of a batch: while one batch runs, the next one fills.
CPU_SLOTS, GPU_SLOTS = 8, 32


def load_model(settings: WorkerSettings) -> Model:
    """Load the weights.

    Raises:
        StartupError: one line, with the value at fault and the remedy.
    """
    return models.load(
        model_size=settings.model_size,
        device=settings.device,
        compute_type=settings.compute_type,
        parallelism=lambda device: parallelism_for(settings, device),
    )


def parallelism_for(settings: WorkerSettings, device: str) -> Parallelism:
    """The settings, and the table for what they leave open."""
    return choose(
        device=device,
        n_cores=available_cores(),
        replicas=settings.replicas,
        threads=settings.cpu_threads,
        max_batch=settings.max_batch_size,
    )


def encoder_of(model: Model, settings: WorkerSettings) -> Encoder:
    """What runs the model's encoder; ENCODER=auto tries it out. Says so in the log."""
    encoder = choose_encoder(settings.encoder, model, SharedModel(model.whisper.model).encode)
    log.info("encoder chosen", extra={"fields": {"encoder": encoder.name, "reason": encoder.reason}})
    return encoder


def transcriber_of(
    model: Model, settings: WorkerSettings, failures: FailureWatch | None = None, encoder: Encoder | None = None
) -> Transcriber:
    """The blocking part of the engine, with its model threads."""
    encode = (encoder or encoder_of(model, settings)).encode
    watch = failures or FailureWatch()
    shared = SharedModel(model.whisper.model, encode)
    # measured on CPUs only: on a GPU the encoder takes a small part of the time
    adapt_context = settings.audio_context == "auto" and model.device == "cpu"
    if adapt_context:
        shared.encode_silence()
    batcher = Batcher(
        watch.guarded(shared.run),
        n_threads=model.parallelism.replicas,
        mix_lanes=model.device == "cuda",
        is_fatal=watch.is_fatal,
        on_error=watch.failed,
    )
    watch.observe(batcher.stuck_for_s)
    return Transcriber(
        model,
        batcher,
        model.parallelism,
        beam_size=settings.beam_size,
        vad_filter=settings.vad_filter,
        adapt_context=adapt_context,
    )


def build_engine(settings: WorkerSettings) -> Engine:
    """Load the model and run it once, so that the first request is not slower than others.

    Raises:
        StartupError: one line, with the value at fault and the remedy.
    """
    if settings.model_size == "fake":
        return FakeEngine(max_audio_s=settings.max_audio_seconds)
    model = load_model(settings)
    models.warm_up(model)
    failures = FailureWatch(stall_limit_s=settings.stall_limit_s)
    info = EngineInfo(
        model=model.name,
        device=model.device,
        compute_type_asked=model.compute_type_asked,
        compute_type=model.compute_type,
        replicas=model.parallelism.replicas,
        threads=model.parallelism.threads,
        max_batch=model.parallelism.max_batch,
    )
    transcriber = transcriber_of(model, settings, failures)
    release_memory()  # what loading needed, and encoding silence
    return WhisperEngine(
        transcriber,
        info,
        slots=slots_for(settings, model.device),
        max_audio_s=settings.max_audio_seconds,
        failures=failures,
    )


def slots_for(settings: WorkerSettings, device: str) -> int:
    """The number from the settings, or the device's default."""
    return settings.max_concurrent_transcriptions or (GPU_SLOTS if device == "cuda" else CPU_SLOTS)
