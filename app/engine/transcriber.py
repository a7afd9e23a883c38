"""pcm in, segments out: speech -> windows -> features -> tokens -> segments, all blocking.

faster-whisper's long-form logic (temperature fallback per window, timestamps, word times,
no-speech check) runs unchanged on every window; what is ours is where the windows are cut, one
language for the whole upload, times of the upload's own clock, and stopping between windows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from faster_whisper import audio as fw_audio
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment as RawSegment
from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens

from app.audio import SAMPLE_RATE_HZ, Pcm
from app.engine.model import Model
from app.engine.speech import speech_spans
from app.engine.windows import Span, Window, plan
from app.errors import Cancelled, InvalidRequest
from app.options import Options
from app.transcript import AudioInfo, Progress, Segment, Word

Features = npt.NDArray[np.float32]
Event = AudioInfo | Segment | Progress

# A pause up to this long stays in the window: the model reads sentence ends from it.
KEEP_GAP_S = 2.0
# A pause this long may end a speech span (faster-whisper's batched pipeline uses the same).
MIN_SILENCE_MS = 160.0
# Kept on both sides of speech, so that soft onsets and endings are heard.
SPEECH_PAD_MS = 400
MIN_WINDOW_S = 1.0
# Half of the decoder's 448 positions hold what came before; hot words may take half of those.
PROMPT_TOKENS = 223
HOTWORD_TOKENS = 111
# Given to the answer when nothing was said: never `unknown`, which clients would send back.
SILENT_LANGUAGE = "en"
LADDER_STEP = 0.2
# Whisper's control tokens have no business in a caller's text.
CONTROL_TOKEN = re.compile(r"<\|[^|>]*\|>")


@dataclass(frozen=True, slots=True)
class _Request:
    """What every window of one upload shares."""

    tokenizer: Tokenizer
    decoding: TranscriptionOptions
    prompt_tokens: tuple[int, ...]
    words: bool


class Transcriber:
    """Transcribes uploads, one call at a time per thread; safe to call from many threads."""

    def __init__(self, model: Model, *, beam_size: int, vad_filter: bool) -> None:
        self._model = model
        self._whisper = model.whisper
        self._beam_size = beam_size
        self._vad_filter = vad_filter

    def check(self, options: Options) -> None:
        """Refuse what this model cannot do.

        Raises:
            InvalidRequest: the parameter at fault is named.
        """
        if options.task == "translate" and not self._model.translates:
            raise InvalidRequest(
                f"The model {self._model.name} cannot translate; ask a server that runs large-v3, medium or small.",
                param="model",
            )
        if options.language is None:
            return
        known = self._whisper.hf_tokenizer.token_to_id(f"<|{options.language}|>") is not None
        if (self._model.multilingual and not known) or (not self._model.multilingual and options.language != "en"):
            raise InvalidRequest(
                f"The model {self._model.name} does not know the language '{options.language}'.",
                param="language",
            )

    def events(self, pcm: Pcm, options: Options, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Transcribe, telling as soon as it is known: first AudioInfo, then Segments and Progress.

        Blocking: the work is done where this is iterated.

        Args:
            pcm: [n_samples] float32, 16 kHz mono.
            options: what the caller wants.
            cancelled: asked before each window.
        Raises:
            Cancelled: `cancelled` said yes.
            InvalidRequest: this model cannot do what is asked.
        """
        self.check(options)
        total_s = len(pcm) / SAMPLE_RATE_HZ
        request: _Request | None = None
        n_segments = 0
        for window in self._windows(pcm, options):
            if cancelled():
                raise Cancelled("The caller has gone.")
            features = self._whisper.feature_extractor(window.cut(pcm))  # [n_mels, n_frames]
            encoded = None
            if request is None:
                language, probability, encoded = self._language(features, options)
                yield AudioInfo(language, probability, total_s)
                request = self._request(language, options)
            for raw in self._decode(features, request, encoded, first=n_segments == 0):
                segment = to_segment(raw, window, number=n_segments, words=request.words)
                if segment is not None:
                    n_segments += 1
                    yield segment
            yield Progress(done_s=min(window.stop_s, total_s), total_s=total_s)
        if request is None:
            yield AudioInfo(options.language or SILENT_LANGUAGE, 1.0 if options.language else 0.0, total_s)
        yield Progress(done_s=total_s, total_s=total_s)

    def _windows(self, pcm: Pcm, options: Options) -> Iterator[Window]:
        longest_s = min(self._model.max_window_s, options.max_speech_duration_s or self._model.max_window_s)
        vad = self._vad_filter if options.vad_filter is None else options.vad_filter
        min_silence_ms = MIN_SILENCE_MS if options.min_silence_duration_ms is None else options.min_silence_duration_ms
        spans: Iterator[Span] = iter([Span(0, len(pcm))])
        if vad:
            spans = speech_spans(pcm, min_silence_ms=min_silence_ms, pad_ms=SPEECH_PAD_MS)
        return plan(
            spans,
            pcm,
            max_samples=int(max(longest_s, MIN_WINDOW_S) * SAMPLE_RATE_HZ),
            keep_gap_samples=int(KEEP_GAP_S * SAMPLE_RATE_HZ),
        )

    def _language(self, features: Features, options: Options) -> tuple[str, float, object | None]:
        """The upload's language, its probability, and the encoder's output if it was needed."""
        if options.language is not None:
            return options.language, 1.0, None
        if not self._model.multilingual:
            return "en", 1.0, None
        n_frames = self._whisper.feature_extractor.nb_max_frames
        encoded = self._whisper.encode(fw_audio.pad_or_trim(features[:, :n_frames]))
        token, probability = self._whisper.model.detect_language(encoded)[0][0]
        return token[2:-2], float(probability), encoded

    def _request(self, language: str, options: Options) -> _Request:
        tokenizer = Tokenizer(
            self._whisper.hf_tokenizer, self._model.multilingual, task=options.task, language=language
        )
        hotwords = tokenizer.encode(" " + _plain(options.hotwords))[:HOTWORD_TOKENS] if options.hotwords else []
        prompt = tokenizer.encode(" " + _plain(options.prompt)) if options.prompt else []
        return _Request(
            tokenizer=tokenizer,
            decoding=TranscriptionOptions(
                beam_size=self._beam_size,
                best_of=5,
                patience=1,
                length_penalty=1,
                repetition_penalty=1,
                no_repeat_ngram_size=0,
                log_prob_threshold=-1.0,
                no_speech_threshold=0.6,
                compression_ratio_threshold=2.4,
                condition_on_previous_text=False,
                prompt_reset_on_temperature=0.5,
                temperatures=temperatures(options),
                initial_prompt=None,
                prefix=None,
                suppress_blank=True,
                suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
                without_timestamps=False,
                max_initial_timestamp=1.0,
                word_timestamps=options.words,
                prepend_punctuations="\"'“¿([{-",
                append_punctuations="\"'.。,，!！?？:：”)]}、",
                multilingual=False,
                max_new_tokens=None,
                clip_timestamps="0",
                hallucination_silence_threshold=None,
                hotwords=tokenizer.decode(hotwords).strip() or None,
            ),
            prompt_tokens=tuple(prompt[-(PROMPT_TOKENS - len(hotwords)) :]),
            words=options.words,
        )

    def _decode(
        self, features: Features, request: _Request, encoded: object | None, *, first: bool
    ) -> Iterator[RawSegment]:
        """faster-whisper's own loop over one window; times are of the window's clock."""
        decoding = TranscriptionOptions(**vars(request.decoding))  # the loop writes into it
        decoding.initial_prompt = list(request.prompt_tokens) if first and request.prompt_tokens else None
        return iter(self._whisper.generate_segments(features, request.tokenizer, decoding, False, encoded))


def temperatures(options: Options) -> list[float]:
    """The sampling temperatures a window may be tried at, in order."""
    if options.tier == "realtime":
        return [options.temperature]
    n_steps = int(round((1.0 - options.temperature) / LADDER_STEP, 6)) + 1
    return [round(options.temperature + step * LADDER_STEP, 2) for step in range(n_steps)]


def to_segment(raw: RawSegment, window: Window, *, number: int, words: bool) -> Segment | None:
    """A segment on the upload's clock; None if nothing of it lies inside the window."""
    window_s = window.n_samples / SAMPLE_RATE_HZ
    start_s = window.source_s(min(float(raw.start), max(window_s - 0.1, 0.0)))
    end_s = window.source_s(min(float(raw.end), window_s), is_end=True)
    end_s = max(end_s, start_s + 0.02)
    if not raw.text.strip():
        return None
    return Segment(
        id=number,
        seek=round(window.start_s * 100) + raw.seek,
        start=round(start_s, 3),
        end=round(end_s, 3),
        text=raw.text,
        tokens=tuple(raw.tokens),
        avg_logprob=float(raw.avg_logprob),
        compression_ratio=float(raw.compression_ratio),
        no_speech_prob=float(raw.no_speech_prob),
        temperature=float(raw.temperature),
        words=tuple(_words(raw, window)) if words else None,
    )


def _words(raw: RawSegment, window: Window) -> Iterator[Word]:
    window_s = window.n_samples / SAMPLE_RATE_HZ
    for word in raw.words or ():
        start_s = window.source_s(min(float(word.start), window_s))
        end_s = max(window.source_s(min(float(word.end), window_s), is_end=True), start_s)
        yield Word(round(start_s, 3), round(end_s, 3), word.word, round(float(word.probability), 4))


def _plain(text: str) -> str:
    return CONTROL_TOKEN.sub(" ", text).strip()
