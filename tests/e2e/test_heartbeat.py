"""The event loop turns while a file is decoded, searched for speech and transcribed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from dataclasses import dataclass

from app.core.options import Options
from app.engine.engine import EngineInfo, WhisperEngine, transcribe
from app.engine.parallelism import choose
from app.engine.whisper.model import load
from app.http.admission import Admission
from tests.engine.transcribing import transcriber_over
from tests.samples import beginning

CHECK_EVERY_S = 0.005


@dataclass(frozen=True, slots=True)
class Beat:
    """One turn of the loop: how long it was away beyond its sleep, and what it computed itself."""

    gap_s: float
    cpu_s: float


async def beats(heard: list[Beat]) -> None:
    """Note each turn of the loop."""
    last, last_cpu = time.monotonic(), time.thread_time()
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        now, cpu = time.monotonic(), time.thread_time()
        heard.append(Beat(now - last - CHECK_EVERY_S, cpu - last_cpu))
        last, last_cpu = now, cpu


async def test_the_loop_never_waits_for_the_model() -> None:
    """While forty seconds of audio are transcribed with word times, the loop computes nothing of it.

    Between two beats its thread never works for 50 ms, however busy the machine is. And it never waits
    for the work: a loop that did would be away for most of the time, where a crowded machine only now
    and then lets it wait for its turn.
    """
    model = load(
        model_size="demo",
        device="cpu",
        compute_type="int8",
        parallelism=lambda device: choose(device=device, n_cores=2),
    )
    info = EngineInfo("demo", "cpu", "int8", model.compute_type)
    engine = WhisperEngine(transcriber_over(model, beam_size=1, adapt_context=False), info, slots=1, max_audio_s=3600)
    admission = Admission(slots=1, max_queue=0, fail_fast=True, retry_after_s=1)
    admission.open()
    source = io.BytesIO(beginning("long-en.wav", 40.0))
    heard: list[Beat] = []
    heart = asyncio.create_task(beats(heard))
    transcript = await transcribe(engine, source, Options(words=True), await admission.acquire())
    heart.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await heart
    await engine.close()
    assert len(transcript.segments) > 8
    assert len(heard) > 50  # half a second of them: a fast machine is done in two
    assert max(beat.cpu_s for beat in heard) < 0.05
    away_s = sum(beat.gap_s for beat in heard if beat.gap_s > 0.05)
    assert away_s < 0.5 * sum(beat.gap_s + CHECK_EVERY_S for beat in heard)
