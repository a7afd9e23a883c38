"""Live transcripts of one level -> word errors and delays as JSON, without any text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jiwer

from bench.accuracy.words import WordErrors, normalised, word_errors
from bench.live.client import ClientRecord
from bench.live.score import Score, score, spread

PERCENTILES = {"p50": "median", "p95": "p95"}


def level_figures(records: Sequence[ClientRecord], *, n_streams: int, cpu_s: Mapping[str, float]) -> dict[str, Any]:
    """The figures of streams that ran at the same time, or one after the other if `n_streams` is 1.

    Args:
        records: what each client sent and received, at the speed of speech.
        n_streams: clients at the same time.
        cpu_s: processor time by process, from the first sample of the first stream to the end of the last.
    """
    scores = [score(record, 1.0) for record in records]
    audio_s = sum(record.material.duration_s for record in records)
    errors = sum((errors_of(*pair) for pair in zip(records, scores, strict=True)), WordErrors())
    words = [word for each in scores for word in each.words]
    segments = [segment for each in scores for segment in each.segments]
    return {
        "streams": n_streams,
        "audio_s": round(audio_s, 1),
        "failed": sum(record.error is not None for record in records),
        "errors": errors.errors,
        "words": errors.words,
        "wer": _rounded(errors.rate),
        "end_words_lost": sum(end_words_lost(*pair) for pair in zip(records, scores, strict=True)),
        "dropped_s": sum(each.dropped_s or 0.0 for each in scores),
        "refused": sum(each.http_503 for each in scores),
        "calls": sum(each.calls for each in scores),
        "word_shown_s": percentiles([word.first_shown_s for word in words]),
        "word_stable_s": percentiles([word.stable_s for word in words]),
        "word_done_s": percentiles([word.done_s for word in words]),
        "segment_done_s": percentiles([segment.done_s for segment in segments]),
        "segment_length_s": percentiles([segment.length_s for segment in segments]),
        "segments": len(segments),
        "cpu_s_per_audio_s": {name: round(seconds / audio_s, 4) for name, seconds in cpu_s.items()},
    }


def recording_figures(record: ClientRecord) -> dict[str, Any]:
    """The word errors of one stream, without its text."""
    found = score(record, 1.0)
    errors = errors_of(record, found)
    return {
        "file": record.material.name,
        "duration_s": round(record.material.duration_s, 2),
        "errors": errors.errors,
        "words": errors.words,
        "end_words_lost": end_words_lost(record, found),
        "error": record.error,
    }


def errors_of(record: ClientRecord, found: Score) -> WordErrors:
    """Wrong words of one stream, after Whisper's normaliser."""
    return word_errors(*_compared(record, found))


def end_words_lost(record: ClientRecord, found: Score) -> int:
    """Words at the end of the reference that the transcript lacks."""
    reference, hypothesis = _compared(record, found)
    last = jiwer.process_words(reference, hypothesis).alignments[0][-1] if reference else None
    return last.ref_end_idx - last.ref_start_idx if last is not None and last.type == "delete" else 0


def percentiles(values: list[float]) -> dict[str, float]:
    """Median and p95, rounded to hundredths; empty for no values."""
    found = spread(values)
    return {name: round(found[key], 2) for name, key in PERCENTILES.items() if found}


def _compared(record: ClientRecord, found: Score) -> tuple[str, str]:
    language = record.material.language or "en"
    return normalised(record.material.reference or "", language), normalised(found.transcript, language)


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 4)
