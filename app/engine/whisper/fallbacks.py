"""Why faster-whisper tries a window again. Its loop of tries runs unchanged; the results of the tries are recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import TranscriptionOptions, get_compression_ratio

from app.engine.listeners import FallbackReason

Generate = Callable[[Any, list[int], Tokenizer, TranscriptionOptions], Any]


def reporting_fallbacks(whisper: WhisperModel, on_fallback: Callable[[FallbackReason], None]) -> Generate:
    """faster-whisper's `generate_with_fallback` that also reports why each try was not the last; see `Listeners`.

    Args:
        whisper: over the request's view of the model; not changed.
        on_fallback: called after the last try of a window.
    """

    def generate_with_fallback(
        encoded: Any, prompt: list[int], tokenizer: Tokenizer, options: TranscriptionOptions
    ) -> Any:
        recording = copy.copy(whisper)
        recording.model = tries = _RecordedModel(whisper.model)
        chosen = recording.generate_with_fallback(encoded, prompt, tokenizer, options)
        for reason in reasons_of(tries.results, tokenizer, options):
            on_fallback(reason)
        return chosen

    return generate_with_fallback


def reasons_of(results: Sequence[Any], tokenizer: Tokenizer, options: TranscriptionOptions) -> list[FallbackReason]:
    """The reason for each try after the first, and `silence` if the last result was taken as such.

    Args:
        results: of CTranslate2, one for each try at a window.
        tokenizer: turns their tokens into text.
        options: with the limits that faster-whisper applies.
    """
    reasons: list[FallbackReason] = []
    for result in results[:-1]:
        ratio = get_compression_ratio(tokenizer.decode(result.sequences_ids[0]).strip())
        reasons.append("repetition" if ratio > options.compression_ratio_threshold else "temperature")
    last = results[-1]
    if last.no_speech_prob > options.no_speech_threshold and _avg_logprob(last) < options.log_prob_threshold:
        reasons.append("silence")
    return reasons


def _avg_logprob(result: Any) -> float:
    """As faster-whisper computes it with a length penalty of 1."""
    n_tokens = len(result.sequences_ids[0])
    return float(result.scores[0]) * n_tokens / (n_tokens + 1)


class _RecordedModel:
    """The model of one window's tries; `generate` is all that they call."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.results: list[Any] = []

    def generate(self, encoded: Any, prompts: Sequence[Sequence[int]], **options: Any) -> list[Any]:
        """One try."""
        results: list[Any] = self._model.generate(encoded, prompts, **options)
        self.results.append(results[0])
        return results
