"""An engine without a model: exact, quick, and shaped like the real one.

For tests of the plumbing, load tests of proxies and demos of the API (MODEL_SIZE=fake). It decodes
the audio for real and "hears" one word per second of it: `word0007` is the second that begins at
7.0 s, so a lost, doubled or misplaced second is visible in the text. Digital silence says nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import replace

import numpy as np

from app.audio.decode import decode
from app.core.options import Options
from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.core.transcript import AudioInfo, Progress, Segment, Timings, TokenLogprob, Word
from app.engine.engine import EngineInfo, Permit, Source
from app.engine.transcriber import EngineEvent
from app.engine.windows import SpeechSpan, Window, pack_windows

WINDOW_S = 30
FIRST_TOKEN = 1000


class FakeEngine:
    """Deterministic transcripts; `window_s` seconds of pretended work for every window."""

    def __init__(self, *, window_s: float = 0.0, max_audio_s: float = 4 * 3600.0) -> None:
        self._window_s = window_s
        self._max_audio_s = max_audio_s
        self._last_inference: float | None = None
        self.windows_done = 0

    @property
    def info(self) -> EngineInfo:
        """A model named `fake`."""
        return EngineInfo(model="fake", device="cpu", compute_type_asked="int8", compute_type="int8")

    @property
    def last_inference_age_s(self) -> float | None:
        """Seconds since the last window; None before the first."""
        return None if self._last_inference is None else time.monotonic() - self._last_inference

    @property
    def critical(self) -> str | None:
        """Nothing here can break for good."""
        return None

    def on_critical(self, tell: Callable[[str], None]) -> None:
        """Nothing to tell."""

    def on_batch(self, tell: Callable[[str, int], None]) -> None:
        """There is no model to call."""

    async def stream(
        self, source: Source, options: Options, permit: Permit
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        """See `Engine.stream`."""
        try:
            started = time.monotonic()
            pcm = await asyncio.to_thread(decode, source, max_audio_s=self._max_audio_s)
            timings = Timings(audio_decode_s=time.monotonic() - started)
            total_s = len(pcm) / SAMPLE_RATE_HZ
            yield AudioInfo(*language_of(options), total_s)
            n_segments = 0
            for window in pack_windows(
                [SpeechSpan(0, len(pcm))], pcm, max_samples=WINDOW_S * SAMPLE_RATE_HZ, keep_gap_samples=0
            ):
                await asyncio.sleep(self._window_s)
                self._last_inference = time.monotonic()
                self.windows_done += 1
                words = tuple(hear(pcm, window))
                if words:
                    yield segment_of(words, number=n_segments, window=window, options=options)
                    n_segments += 1
                yield Progress(done_s=window.stop_s, total_s=total_s)
            yield replace(timings, model_s=time.monotonic() - started - timings.audio_decode_s)
        finally:
            permit.release()

    async def close(self) -> None:
        """Nothing to free."""


def language_of(options: Options) -> tuple[str, float]:
    """The language asked for, else the first of those it may be, and how sure that is."""
    if options.language is not None:
        return options.language, 1.0
    return (options.languages or ("en",))[0], 0.9


def hear(pcm: Pcm, window: Window) -> Iterator[Word]:
    """One word for each second of the upload that begins in the window and is not silent."""
    first_s = int(np.ceil(window.start_s))
    for second in range(first_s, int(np.ceil(window.stop_s))):
        heard = pcm[second * SAMPLE_RATE_HZ : (second + 1) * SAMPLE_RATE_HZ]
        if heard.size and float(np.abs(heard).max()) > 0.0:
            end_s = second + len(heard) / SAMPLE_RATE_HZ
            yield Word(float(second), round(end_s, 3), f" word{second:04d}", 0.99)


def segment_of(words: tuple[Word, ...], *, number: int, window: Window, options: Options) -> Segment:
    """The window's words as one segment with plausible evidence."""
    return Segment(
        id=number,
        seek=round(window.start_s * 100),
        start=words[0].start,
        end=words[-1].end,
        text="".join(word.word for word in words),
        tokens=tuple(FIRST_TOKEN + int(word.start) for word in words),
        avg_logprob=-0.1,
        compression_ratio=1.0,
        no_speech_prob=0.01,
        temperature=options.temperature,
        words=words if options.words else None,
        logprobs=tuple(logprob_of(word) for word in words) if options.logprobs else None,
    )


def logprob_of(word: Word) -> TokenLogprob:
    """The word as the one token that it is here."""
    return TokenLogprob(token=word.word, logprob=-0.01, utf8=tuple(word.word.encode()))
