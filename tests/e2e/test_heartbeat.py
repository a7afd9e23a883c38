"""The event loop turns while a file is decoded, searched for speech and transcribed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time

from app.admission import Admission
from app.engine.engine import EngineInfo, WhisperEngine, transcribe
from app.engine.model import load
from app.engine.parallelism import choose
from app.options import Options
from tests.engine.hearing import transcriber_over
from tests.samples import beginning

BEAT_S = 0.005


async def beats(gaps_s: list[float]) -> None:
    """Note how long the loop took to come back each time."""
    last = time.monotonic()
    while True:
        await asyncio.sleep(BEAT_S)
        now = time.monotonic()
        gaps_s.append(now - last - BEAT_S)
        last = now


async def test_the_loop_never_waits_for_the_model() -> None:
    """While forty seconds of audio are transcribed with word times, the loop is never away for 50 ms.

    The machine that runs the tests may itself pause for longer, so the bound holds for all but a
    few beats in a thousand; a blocked loop would miss hundreds in a row.
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
    gaps_s: list[float] = []
    heart = asyncio.create_task(beats(gaps_s))
    transcript = await transcribe(engine, source, Options(words=True), await admission.acquire())
    heart.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await heart
    await engine.close()
    assert len(transcript.segments) > 8
    assert len(gaps_s) > 200
    late = sum(gap_s > 0.05 for gap_s in gaps_s)
    assert late <= len(gaps_s) * 0.01, f"{late} of {len(gaps_s)} beats late, worst {max(gaps_s):.3f} s"
