"""One window's tokens to segments: faster-whisper's loop, and what clients need beyond it.

faster-whisper decides where a segment begins and ends, retries windows that fail its checks, and finds
words. Added here: log-probabilities of the tokens, cutting segments that are too long for live text,
and times on the upload's clock.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment as WhisperSegment
from faster_whisper.transcribe import TranscriptionOptions

from app.core.pcm import SAMPLE_RATE_HZ
from app.core.transcript import Segment, TokenLogprob, Word
from app.engine.listeners import FallbackReason, ignore
from app.engine.segment_cuts import SpokenWord, is_long, pieces_of
from app.engine.whisper.fallbacks import reporting_fallbacks
from app.engine.windows import Window

Features = npt.NDArray[np.float32]

PROBABILITY_FLOOR = 1e-10
# Byte-level BPE writes each byte as one printable character. Source: openai/gpt-2 `encoder.py`, bytes_to_unicode.
_SHOWN_AS_THEMSELVES = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_OTHERS = (byte for byte in range(0x100) if byte not in _SHOWN_AS_THEMSELVES)
BYTE_OF = {chr(byte): byte for byte in _SHOWN_AS_THEMSELVES} | {chr(0x100 + n): byte for n, byte in enumerate(_OTHERS)}
FRAMES_PER_SECOND = 100
MAX_FRAMES = 3000


@dataclass(frozen=True, slots=True)
class DecodedSegment:
    """A segment on the window's clock, with its tokens' log-probabilities if the request has them."""

    segment: WhisperSegment
    logprobs: tuple[TokenLogprob, ...] | None = None


def decode_window(
    whisper: WhisperModel,
    features: Features,
    tokenizer: Tokenizer,
    decoding: TranscriptionOptions,
    *,
    encoded: Any = None,
    prompt: Sequence[int] = (),
    logprobs: bool = False,
    split: bool = False,
    on_fallback: Callable[[FallbackReason], None] = ignore,
) -> list[DecodedSegment]:
    """Decode one window to its end.

    Args:
        whisper: over the request's view of the model.
        features: [n_mels, n_frames], at most 30 s.
        tokenizer: with the upload's language and task.
        decoding: faster-whisper's options; not changed.
        encoded: the encoder's output of these features, if it is already there.
        prompt: token ids that came before the window.
        logprobs: give every text token its log-probability.
        split: cut segments that are too long for live text.
        on_fallback: called with the reason for each try after the first; see `Listeners`.

    Returns:
        Segments on the window's clock.
    """
    watching = copy.copy(whisper)  # a copy for this window, whose `encode` starts a pass
    passes: list[_Pass] = []

    def watched(rows: Features) -> Any:
        passes.append(_Pass(whisper.encode(rows)))  # of the original: a circle would keep the encoder's output alive
        return passes[-1].encoded

    watching.encode = watched
    watching.generate_with_fallback = reporting_fallbacks(whisper, on_fallback)
    if encoded is not None:
        passes.append(_Pass(encoded))
    options = replace(decoding, initial_prompt=list(prompt) or None)
    for segment in watching.generate_segments(features, tokenizer, options, False, encoded):
        passes[-1].segments.append(segment)
    raws: list[DecodedSegment] = []
    for each in passes:
        n_frames = features.shape[-1] - 1
        aligner = _Aligner(whisper, tokenizer, each, n_frames)
        pieces = [piece for segment in each.segments for piece in (aligner.cut(segment) if split else [segment])]
        scores = aligner.logprobs(pieces) if logprobs else [None] * len(pieces)
        raws.extend(DecodedSegment(piece, score) for piece, score in zip(pieces, scores, strict=True))
    return raws


@dataclass(slots=True)
class _Pass:
    """One pass of the model over the window; another one follows if it stopped before the end."""

    encoded: Any
    segments: list[WhisperSegment] = field(default_factory=list)


class _Aligner:
    """Token and word alignments of one pass, computed when first needed."""

    def __init__(self, whisper: WhisperModel, tokenizer: Tokenizer, one: _Pass, n_frames: int) -> None:
        self._whisper = whisper
        self._tokenizer = tokenizer
        self._encoded = one.encoded
        self._seek = one.segments[0].seek if one.segments else 0
        self._n_frames = min(n_frames - self._seek, MAX_FRAMES)

    def logprobs(self, segments: Sequence[WhisperSegment]) -> list[tuple[TokenLogprob, ...]]:
        """The probability of every text token, given the audio and the text before it."""
        texts = [self._text_tokens(segment) for segment in segments]
        everything = list(chain.from_iterable(texts))
        if not everything:
            return [() for _ in segments]
        result = self._whisper.model.align(self._encoded, self._tokenizer.sot_sequence, [everything], self._n_frames)[0]
        probabilities = iter(result.text_token_probs)
        return [tuple(scored(self._tokenizer, token, next(probabilities)) for token in text) for text in texts]

    def cut(self, segment: WhisperSegment) -> list[WhisperSegment]:
        """A segment that is too long for live text, in pieces."""
        tokens = self._text_tokens(segment)
        if not is_long(segment) or not tokens:
            return [segment]
        found = self._whisper.find_alignment(self._tokenizer, [tokens], self._encoded, self._n_frames)[0]
        offset_s = self._seek / FRAMES_PER_SECOND
        words = [
            SpokenWord(
                each["word"],
                tuple(each["tokens"]),
                # the alignment sees the whole window, and may put a word outside of its segment
                min(max(each["start"] + offset_s, segment.start), segment.end),
                min(max(each["end"] + offset_s, segment.start), segment.end),
            )
            for each in found
        ]
        return pieces_of(segment, words)

    def _text_tokens(self, segment: WhisperSegment) -> list[int]:
        return [token for token in segment.tokens if token < self._tokenizer.eot]


def scored(tokenizer: Tokenizer, token: int, probability: float) -> TokenLogprob:
    """A token with its own bytes. They may be only a part of a character: its text then has U+FFFD."""
    written = tokenizer.tokenizer.id_to_token(token) or ""
    utf8 = bytes(BYTE_OF[each] for each in written if each in BYTE_OF)
    return TokenLogprob(utf8.decode(errors="replace"), math.log(max(probability, PROBABILITY_FLOOR)), tuple(utf8))


def to_segment(raw: DecodedSegment, window: Window, *, number: int, words: bool) -> Segment | None:
    """A segment on the upload's clock; None if it has no text."""
    found = raw.segment
    if not found.text.strip():
        return None
    window_s = window.n_samples / SAMPLE_RATE_HZ
    # models place times in the padding behind the window
    start_s = window.source_s(min(float(found.start), max(window_s - 0.1, 0.0)))
    end_s = max(window.source_s(min(float(found.end), window_s), is_end=True), start_s + 0.02)
    return Segment(
        id=number,
        seek=round(window.start_s * FRAMES_PER_SECOND) + found.seek,
        start=round(start_s, 3),
        end=round(end_s, 3),
        text=found.text,
        tokens=tuple(found.tokens),
        avg_logprob=float(found.avg_logprob),
        compression_ratio=float(found.compression_ratio),
        no_speech_prob=float(found.no_speech_prob),
        temperature=float(found.temperature),
        words=tuple(_words(found, window)) if words else None,
        logprobs=raw.logprobs,
    )


def _words(found: WhisperSegment, window: Window) -> Iterator[Word]:
    window_s = window.n_samples / SAMPLE_RATE_HZ
    for word in found.words or ():
        start_s = window.source_s(min(float(word.start), window_s))
        end_s = max(window.source_s(min(float(word.end), window_s), is_end=True), start_s)
        yield Word(round(start_s, 3), round(end_s, 3), word.word, round(float(word.probability), 4))
