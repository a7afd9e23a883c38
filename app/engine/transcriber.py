"""Samples to segments: speech -> windows -> features -> tokens -> segments. All of it blocks.

faster-whisper's long-form logic (fallback per window, timestamps, word times, no-speech check) runs
unchanged on every window, over a view of the shared model. This project adds: where windows are cut,
several windows of a file at once, a language for each window, times on the upload's clock,
and stopping between windows.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from app.core.errors import Cancelled, InvalidRequest
from app.core.options import Options
from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.core.transcript import AudioInfo, Progress, Segment
from app.engine.batching.batcher import BatchDetails, Batcher
from app.engine.batching.lanes import LANE_NAMES, SHORT, LaneSemaphore, lane_of
from app.engine.evidence import evidence_of
from app.engine.listeners import FallbackReason, Listeners
from app.engine.parallelism import Parallelism
from app.engine.search import next_window, search_windows
from app.engine.speech_track import SpeechTrack
from app.engine.spoken_language import LanguageFinder, SpokenLanguage
from app.engine.stage_times import StageTimes
from app.engine.whisper.calls import BatchedWhisper, ModelCall
from app.engine.whisper.decoding import Decoding, beam_of, decoding_of
from app.engine.whisper.model import MAX_WINDOW_S, Model
from app.engine.whisper.segments import DecodedSegment, decode_window, to_segment
from app.engine.window_pipeline import decode_in_order
from app.engine.windows import Scanned, Window

Features = npt.NDArray[np.float32]
EngineEvent = AudioInfo | Segment | Progress

# The language of an answer without speech: never `unknown`, which clients would send back.
SILENT_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class _Request:
    """One upload, its options and its place among the other requests."""

    track: SpeechTrack
    options: Options
    whisper: WhisperModel  # over this request's view of the model
    lane: int
    cancelled: Callable[[], bool]
    on_fallback: Callable[[FallbackReason], None]
    times: StageTimes

    @property
    def total_s(self) -> float:
        """Length of the audio in seconds."""
        return self.track.n_samples / SAMPLE_RATE_HZ

    def check_caller(self) -> None:
        """Stop if the caller has left."""
        if self.cancelled():
            raise Cancelled


@dataclass(frozen=True, slots=True)
class _Decoded:
    """One window's segments and their language."""

    language: str
    segments: list[DecodedSegment]


class Transcriber:
    """Transcribes uploads; safe to call from many threads.

    Args:
        model: the loaded model.
        batcher: the model threads that all requests share.
        parallelism: rows and windows at once.
        beam_size: beam width of a request that names none, unless it is live.
        vad_filter: leave out audio without speech unless a request overrides it.
        adapt_context: encode short windows at their own length.
    """

    def __init__(
        self,
        model: Model,
        batcher: Batcher[ModelCall, Any],
        parallelism: Parallelism,
        *,
        beam_size: int,
        vad_filter: bool,
        adapt_context: bool = False,
    ) -> None:
        self._model = model
        self._batcher = batcher
        self._parallelism = parallelism
        self._beam_size = beam_size
        self._vad_filter = vad_filter
        self._adapt_context = adapt_context
        self._listeners = Listeners()
        self._feature_turns = LaneSemaphore(parallelism.feature_threads)

    def listen(self, listeners: Listeners) -> None:
        """Set who is told: of model calls on a model thread, of windows and segments on a request thread."""
        self._listeners = listeners
        self._batcher.on_batch(self._report)
        self._batcher.on_busy(listeners.busy)

    def last_inference_age_s(self) -> float | None:
        """Seconds since a call of the model last succeeded; None before the first."""
        return self._batcher.last_call_age_s()

    def sweep(self) -> None:
        """Drop the jobs of callers that have left."""
        self._batcher.sweep()

    def close(self) -> None:
        """End the model threads: waiting jobs fail, running calls finish."""
        self._batcher.close()

    def check(self, options: Options) -> None:
        """Check that this model supports the options.

        Raises:
            InvalidRequest: it does not; the message names the parameter.
        """
        if options.task == "translate" and not self._model.translates:
            raise InvalidRequest(
                "This server's model cannot translate; use a server that runs large-v3, medium or small.",
                param="model",
            )
        wanted = options.languages if options.language is None else (options.language,)
        known = self._model.languages
        if wanted and not any(code in known for code in wanted):
            named = " or ".join(f"'{code}'" for code in wanted)
            raise InvalidRequest(
                f"This server's model does not know the language {named}; it knows {', '.join(known)}.",
                param="languages" if options.languages else "language",  # whichever of the two named it
            )

    def events(
        self, pcm: Pcm, options: Options, cancelled: Callable[[], bool], times: StageTimes | None = None
    ) -> Iterator[EngineEvent]:
        """Transcribe, and yield what is known as soon as it is known.

        Blocking: the work is done where this is iterated.

        Args:
            pcm: [n_samples] float32, 16 kHz mono.
            options: what the caller wants.
            cancelled: called before each window and after each block of the search for speech.
            times: gets the calls of the model and the number of windows.

        Yields:
            AudioInfo once, and after it Segments and Progress. Only Progress may come before AudioInfo: while
            the beginning of a long file holds no speech.

        Raises:
            Cancelled: `cancelled` returned True.
            InvalidRequest: this model does not support an option; see `check`.
        """
        self.check(options)
        total_s = len(pcm) / SAMPLE_RATE_HZ
        owner, over = object(), threading.Event()
        times = times or StageTimes()

        def stopped() -> bool:
            return over.is_set() or cancelled()

        track = SpeechTrack(pcm)
        if total_s <= MAX_WINDOW_S and options.tier == "standard":
            self._batcher.announce(owner, SHORT)
        windows = search_windows(
            track,
            options,
            vad_filter=self._vad_filter,
            max_window_s=self._model.max_window_s,
            on_skipped=self._listeners.skipped,
        )
        try:
            first = yield from next_window(windows, stopped, total_s)
            if first is None:
                yield AudioInfo(options.language or SILENT_LANGUAGE, 1.0 if options.language else 0.0, total_s)
            else:
                # further windows may follow a long silence: do not report progress beyond the first undecoded window
                second = yield from next_window(windows, stopped, total_s, limit_s=first.start_s)
                lane = lane_of(options.tier, short=second is None or total_s <= MAX_WINDOW_S)
                view = self._view(owner, lane, options, total_s, cancelled=stopped, times=times)
                request = _Request(track, options, view, lane, stopped, self._listeners.fallback, times)
                rest = windows if second is None else chain((second,), windows)
                yield from self._speech(request, first, rest)
        finally:
            # windows that still run beside a failed one, or after the reader has left, stop at their next call
            over.set()
            self._batcher.sweep()
            self._batcher.forget(owner)
        self._listeners.speech(track.speech_s)
        yield Progress(done_s=total_s, total_s=total_s)

    def _speech(self, request: _Request, first: Window, rest: Iterator[Window | Scanned]) -> Iterator[EngineEvent]:
        """Events of audio that holds speech: the upload's language is that of its first window."""
        request.check_caller()
        features = self._features(request, first)
        languages = LanguageFinder(request.whisper, request.options, multilingual=self._model.multilingual)
        upload = languages.of_upload(features)
        yield AudioInfo(upload.code, upload.probability, request.total_s, LANE_NAMES[request.lane])
        decodings = {upload.code: self._decoding(request, upload.code)}

        def decode_first() -> _Decoded:
            decoding = decodings[upload.code]
            return _decode(request, upload, decoding, features, prompt=decoding.prompt_tokens)

        def decode_later(window: Window) -> _Decoded:
            heard = self._features(request, window)
            spoken = languages.of_window(heard, window_s=window.n_samples / SAMPLE_RATE_HZ, upload=upload)
            if spoken.code not in decodings:
                decodings[spoken.code] = self._decoding(request, spoken.code)
            return _decode(request, spoken, decodings[spoken.code], heard)

        results = decode_in_order(
            (first, decode_first),
            rest,
            decode_later,
            n_at_once=self._parallelism.windows_per_file,
            check_caller=request.check_caller,
        )
        n_segments = 0
        with closing(results):
            for result in results:
                if isinstance(result, Scanned):
                    yield Progress(done_s=result.stop_s, total_s=request.total_s)
                    continue
                window, decoded = result
                request.times.n_windows += 1
                for each in decoded.segments:
                    segment = to_segment(each, window, number=n_segments, words=request.options.words)
                    if segment is not None and (judged := self._judged(segment, request.track)) is not None:
                        n_segments += 1
                        yield replace(judged, language=decoded.language)
                yield Progress(done_s=min(window.stop_s, request.total_s), total_s=request.total_s)

    def _report(self, details: BatchDetails) -> None:
        """A call of the model has succeeded; BatchedWhisper's keys begin with the kind of the call."""
        self._listeners.batch(cast("tuple[str, ...]", details.key)[0], details.rows)
        self._listeners.waited(details.waited_s)

    def _judged(self, segment: Segment, track: SpeechTrack) -> Segment | None:
        """The segment with what speaks against it; None if that is enough to leave it out."""
        found = evidence_of(segment, track)
        if found.suppressed is not None:
            self._listeners.suppressed(found.suppressed)
            return None
        return replace(segment, speech_prob=round(found.speech_prob, 4), suspect=found.suspect)

    def _features(self, request: _Request, window: Window) -> Features:
        """[n_mels, n_frames] of one window."""
        with self._feature_turns.held(request.lane):
            features: Features = request.whisper.feature_extractor(window.cut(request.track.pcm))
        return features

    def _view(
        self,
        owner: Hashable,
        lane: int,
        options: Options,
        audio_s: float,
        *,
        cancelled: Callable[[], bool],
        times: StageTimes,
    ) -> WhisperModel:
        """faster-whisper over this request's view of the shared model."""
        beam = beam_of(options, self._beam_size, audio_s=audio_s)
        rows = self._parallelism.max_batch if lane <= SHORT else self._parallelism.long_batch
        whisper = copy.copy(self._model.whisper)
        whisper.model = BatchedWhisper(
            self._model.whisper.model,
            self._batcher,
            owner=owner,
            lane=lane,
            max_rows=rows,
            encode_rows=self._parallelism.encode_batch,
            cancelled=cancelled,
            start_token=self._model.start_token,
            repeat_beam=beam if options.temperature == 0 else None,
            adapt_context=self._adapt_context,
            on_call=times.add_call,
        )
        return whisper

    def _decoding(self, request: _Request, language: str) -> Decoding:
        tokenizer = Tokenizer(
            request.whisper.hf_tokenizer, self._model.multilingual, task=request.options.task, language=language
        )
        return decoding_of(request.options, tokenizer, server_beam=self._beam_size, audio_s=request.total_s)


def _decode(
    request: _Request,
    language: SpokenLanguage,
    decoding: Decoding,
    features: Features,
    *,
    prompt: tuple[int, ...] = (),
) -> _Decoded:
    """Decode one window; called on the request's thread for the first, on window threads for the rest."""
    live = request.options.tier == "realtime" or request.options.max_speech_duration_s is not None
    segments = decode_window(
        request.whisper,
        features,
        decoding.tokenizer,
        decoding.options,
        encoded=language.encoded,
        prompt=prompt,
        logprobs=request.options.logprobs,
        split=live,
        on_fallback=request.on_fallback,
    )
    return _Decoded(language.code, segments)
