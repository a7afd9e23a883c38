"""An engine without a model, with exact and instant transcripts.

For tests of everything around the model, load tests of proxies and demos of the API (MODEL_SIZE=fake).
The audio is decoded as usual and gives one word per second: `word0007` is the second that begins at
7.0 s, so a lost, doubled or misplaced second shows in the text. Digital silence gives no words.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace

import numpy as np

from app.audio.decode import decode_audio
from app.core.options import Options
from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.core.transcript import AudioInfo, Progress, Segment, Timings, TokenLogprob, Word
from app.engine.batching.lanes import LANE_NAMES, lane_of
from app.engine.engine import EngineInfo, Permit, Source, release_on_loop
from app.engine.listeners import Listeners
from app.engine.stage_times import CallTimes, StageTimes
from app.engine.transcriber import EngineEvent
from app.engine.windows import SpeechSpan, Window, pack_windows

WINDOW_S = 30
FIRST_TOKEN = 1000


class FakeEngine:
    """Deterministic transcripts; each window takes `window_s` seconds of sleep."""

    def __init__(self, *, window_s: float = 0.0, max_audio_s: float = 4 * 3600.0) -> None:
        self._window_s = window_s
        self._max_audio_s = max_audio_s
        self._listeners = Listeners()
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
        """Always None: there is no device to lose."""
        return None

    def listen(self, listeners: Listeners) -> None:
        """Set who is told of windows as if each were encoded and decoded in a call of its own; nothing ever fails."""
        self._listeners = listeners

    def stream(
        self, source: Source, options: Options, permit: Permit, times: StageTimes | None = None
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        """See `Engine.stream`."""
        stream = self._stream(source, options, permit, times or StageTimes())
        # a generator that never began has no `finally`
        weakref.finalize(stream, release_on_loop, asyncio.get_running_loop(), permit)
        return stream

    async def _stream(
        self, source: Source, options: Options, permit: Permit, times: StageTimes
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        abandoned = threading.Event()
        try:
            started = time.monotonic()
            try:
                with times.stage("decode"):
                    pcm = await asyncio.to_thread(
                        decode_audio, source, max_audio_s=self._max_audio_s, cancelled=abandoned.is_set
                    )
            finally:
                self._listeners.decoded(time.monotonic() - started)
            timings = Timings(audio_decode_s=time.monotonic() - started)
            started = time.monotonic()
            try:
                async for event in self._events(pcm, options, times):
                    yield event
            finally:
                self._listeners.transcribed(time.monotonic() - started)
            yield replace(timings, model_s=time.monotonic() - started)
        finally:
            abandoned.set()
            permit.release()

    async def _events(self, pcm: Pcm, options: Options, times: StageTimes) -> AsyncGenerator[EngineEvent, None]:
        """The events of decoded audio."""
        total_s = len(pcm) / SAMPLE_RATE_HZ
        lane = LANE_NAMES[lane_of(options.tier, short=total_s <= WINDOW_S)]
        yield AudioInfo(*language_of(options), total_s, lane)
        n_segments, speech_s = 0, 0.0
        for window in pack_windows(
            [SpeechSpan(0, len(pcm))], pcm, max_samples=WINDOW_S * SAMPLE_RATE_HZ, keep_gap_samples=0
        ):
            await self._call_model(times)
            words = tuple(words_in(pcm, window))
            speech_s += sum(word.end - word.start for word in words)
            if words:
                yield segment_of(words, number=n_segments, window=window, options=options)
                n_segments += 1
            yield Progress(done_s=window.stop_s, total_s=total_s)
        self._listeners.speech(speech_s)

    async def _call_model(self, times: StageTimes) -> None:
        """Take the time of a window, and report it like two calls of one row each."""
        started = time.monotonic()
        await asyncio.sleep(self._window_s)
        self._last_inference = time.monotonic()
        self.windows_done += 1
        times.n_windows += 1
        times.add_call(CallTimes(self.windows_done, "generate", 1, 0.0, started, self._last_inference))
        self._listeners.busy(0, self._last_inference - started)
        for call in ("encode", "generate"):
            self._listeners.batch(call, 1)
            self._listeners.waited(0.0)

    async def close(self) -> None:
        """Nothing to free."""


def language_of(options: Options) -> tuple[str, float]:
    """The language that was asked for, else the first candidate, and a probability."""
    if options.language is not None:
        return options.language, 1.0
    return (options.languages or ("en",))[0], 0.9


def words_in(pcm: Pcm, window: Window) -> Iterator[Word]:
    """One word for each second of the upload that begins in the window and is not silent."""
    first_s = int(np.ceil(window.start_s))
    for second in range(first_s, int(np.ceil(window.stop_s))):
        piece = pcm[second * SAMPLE_RATE_HZ : (second + 1) * SAMPLE_RATE_HZ]
        if piece.size and float(np.abs(piece).max()) > 0.0:
            end_s = second + len(piece) / SAMPLE_RATE_HZ
            yield Word(float(second), round(end_s, 3), f" word{second:04d}", 0.99)


def segment_of(words: tuple[Word, ...], *, number: int, window: Window, options: Options) -> Segment:
    """The window's words as one segment with plausible scores."""
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
    """The word as one token."""
    return TokenLogprob(token=word.word, logprob=-0.01, utf8=tuple(word.word.encode()))
