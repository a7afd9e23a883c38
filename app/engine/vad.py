"""Find speech in audio with Silero VAD, block by block.

The first window of a long file is ready long before the search reaches its end, and memory stays bounded.
Source: faster-whisper's `vad` module (Silero v6, ONNX, one thread, the GIL released).
"""

from __future__ import annotations

from collections.abc import Iterator

import onnxruntime
from faster_whisper.vad import VadOptions, get_speech_timestamps

from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.engine.windows import Scanned, SpeechSpan

# Two minutes: Silero needs about a second for it, and 80 MB of scratch memory.
BLOCK_SAMPLES = 120 * SAMPLE_RATE_HZ
# A word that begins right before a block's end is searched again in the next block.
REVISIT_SAMPLES = SAMPLE_RATE_HZ
THRESHOLD = 0.5

# onnxruntime has a telemetry client. Nothing about the audio leaves this machine.
onnxruntime.disable_telemetry_events()


def speech_spans(
    pcm: Pcm,
    *,
    min_silence_ms: float,
    pad_ms: float,
    threshold: float | None = None,
    block_samples: int = BLOCK_SAMPLES,
) -> Iterator[SpeechSpan | Scanned]:
    """Where speech is, ascending and apart, computed lazily; a `Scanned` after each block but the last.

    Args:
        pcm: [n_samples] float32, 16 kHz mono.
        min_silence_ms: a shorter pause does not end a span.
        pad_ms: silence kept on both sides, so that no onset is clipped.
        threshold: probability above which a frame counts as speech; None = 0.5.
        block_samples: samples of one call of the detector.
    """
    options = VadOptions(
        threshold=THRESHOLD if threshold is None else threshold,
        min_silence_duration_ms=int(min_silence_ms),
        speech_pad_ms=int(pad_ms),
    )
    offset = spoken_until = 0
    while offset < len(pcm):
        block = pcm[offset : offset + block_samples]
        last = offset + len(block) >= len(pcm)
        found = [
            SpeechSpan(offset + part["start"], offset + part["end"]) for part in get_speech_timestamps(block, options)
        ]
        if last:
            next_offset = len(pcm)
        elif found and found[-1].stop >= offset + len(block) and found[-1].start > offset:
            next_offset = found.pop().start  # speech runs across the border: see it whole
        elif found and found[-1].stop >= offset + len(block):
            next_offset = offset + len(block)  # two minutes without a pause
        else:
            next_offset = max(offset + len(block) - REVISIT_SAMPLES, found[-1].stop if found else 0)
        for span in found:
            start = max(span.start, spoken_until)
            if span.stop > start:
                yield SpeechSpan(start, span.stop)
                spoken_until = span.stop
        offset = next_offset
        if not last:
            yield Scanned(offset)
