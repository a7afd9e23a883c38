"""Transcriptions of one run -> scores for each setting and kind of speech. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.accuracy.recordings import DIGITS, Recording
from bench.accuracy.transcription import Transcription
from bench.accuracy.words import WordErrors, n_letters, normalised, plain, word_errors

RESAMPLES = 4000
INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Scored:
    """One transcription compared with its reference.

    Attributes:
        errors: after Whisper's normaliser.
        plain_errors: after the plain comparison.
    """

    recording: Recording
    transcription: Transcription
    errors: WordErrors
    plain_errors: WordErrors


@dataclass(frozen=True, slots=True)
class Summary:
    """One setting over all recordings.

    Attributes:
        errors: English speech, after Whisper's normaliser.
        plain_errors: English speech, after the plain comparison.
        by_group: errors of each kind of speech.
        difference: word error rate less the baseline's; None for the baseline itself.
        interval: where 95 % of that difference lies when recordings are drawn again; None for the baseline.
        rtfx: seconds of audio over seconds of wall clock.
        cpu_s: CPU time of all recordings; None if it cannot be measured.
        non_speech_letters: letters written for recordings without speech.
        non_speech_files: the recordings for which there are any.
        n_windows: windows that gave text.
        n_fallbacks: those whose text came from a retry.
        n_different: recordings whose text differs from the reference setting's; None without one.
        different_words: words changed from the reference setting's texts, over its words; None without one.
    """

    setting: str
    errors: WordErrors
    plain_errors: WordErrors
    by_group: Mapping[str, WordErrors]
    difference: float | None
    interval: tuple[float, float] | None
    rtfx: float
    cpu_s: float | None
    non_speech_letters: int
    non_speech_files: tuple[str, ...]
    n_windows: int
    n_fallbacks: int
    n_different: int | None
    different_words: float | None


Run = Mapping[str, Sequence[Scored]]


def scored(recording: Recording, transcription: Transcription) -> Scored:
    """Count the wrong words of one transcription."""
    return Scored(
        recording,
        transcription,
        word_errors(compared(recording.text, recording), compared(transcription.text, recording)),
        word_errors(plain(recording.text), plain(transcription.text)),
    )


def compared(text: str, recording: Recording) -> str:
    """A text about a recording in the form that is compared: after Whisper's normaliser."""
    return normalised(text, recording.language or "en", split_digits=recording.group == DIGITS)


def summaries(run: Run, *, baseline: str | None, reference: str | None) -> list[Summary]:
    """Summarise every setting of a run.

    Args:
        run: scores by setting, of the same recordings in the same order.
        baseline: the setting that error rates are compared with; None = none.
        reference: the setting that texts are compared with; None = none.
    """
    return [
        _summary(
            name,
            each,
            baseline=None if baseline in (None, name) else run.get(str(baseline)),
            reference=None if reference is None else run[reference],
        )
        for name, each in run.items()
    ]


def worse(run: Run, *, setting: str, baseline: str, by_words: int) -> list[tuple[Scored, Scored]]:
    """Recordings of which a setting gets more words wrong than the baseline; the worst first.

    Words are counted after Whisper's normaliser; for recordings without speech every word is wrong.
    """
    pairs = [
        (ours, theirs)
        for ours, theirs in zip(run[setting], run[baseline], strict=True)
        if ours.errors.errors - theirs.errors.errors >= by_words
    ]
    return sorted(pairs, key=lambda pair: pair[1].errors.errors - pair[0].errors.errors)


def difference_interval(ours: Sequence[WordErrors], theirs: Sequence[WordErrors]) -> tuple[float, float]:
    """A 95 % interval of the difference of two word error rates, by drawing recordings again in pairs.

    Source: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", 2004.
    """
    errors = np.array([a.errors - b.errors for a, b in zip(ours, theirs, strict=True)])
    words = np.array([each.words for each in theirs])
    drawn = np.random.default_rng(0).integers(len(words), size=(RESAMPLES, len(words)))  # [n_resamples, n_recordings]
    rates = errors[drawn].sum(axis=1) / words[drawn].sum(axis=1)
    low, high = np.percentile(rates, INTERVAL_PERCENT)
    return float(low), float(high)


def _summary(
    name: str, all_scored: Sequence[Scored], *, baseline: Sequence[Scored] | None, reference: Sequence[Scored] | None
) -> Summary:
    counted = [each for each in all_scored if each.recording.counts]
    errors = _total([each.errors for each in counted])
    difference = interval = None
    if baseline is not None and errors.words:
        theirs = [each.errors for each in baseline if each.recording.counts]
        difference = (errors.errors - _total(theirs).errors) / errors.words
        interval = difference_interval([each.errors for each in counted], theirs)
    letters = {
        each.recording.path.name: n_letters(each.transcription.text)
        for each in all_scored
        if not each.recording.has_speech
    }
    cpu_s = [each.transcription.cpu_s for each in all_scored]
    measured_cpu_s = [each for each in cpu_s if each is not None]
    wall_s = sum(each.transcription.wall_s for each in all_scored)
    return Summary(
        setting=name,
        errors=errors,
        plain_errors=_total([each.plain_errors for each in counted]),
        by_group=_by_group(all_scored),
        difference=difference,
        interval=interval,
        rtfx=sum(each.recording.duration_s for each in all_scored) / wall_s,
        cpu_s=sum(measured_cpu_s) if len(measured_cpu_s) == len(cpu_s) else None,
        non_speech_letters=sum(letters.values()),
        non_speech_files=tuple(file for file, count in letters.items() if count),
        n_windows=sum(each.transcription.n_windows for each in all_scored),
        n_fallbacks=sum(each.transcription.n_fallbacks for each in all_scored),
        n_different=None if reference is None else _n_different(all_scored, reference),
        different_words=None if reference is None else _different_words(all_scored, reference),
    )


def _total(errors: Sequence[WordErrors]) -> WordErrors:
    return sum(errors, WordErrors())


def _by_group(all_scored: Sequence[Scored]) -> dict[str, WordErrors]:
    """Groups of speech in order of their first recording."""
    found: dict[str, WordErrors] = {}
    for each in all_scored:
        if each.recording.has_speech:
            group = each.recording.group
            found[group] = found.get(group, WordErrors()) + each.errors
    return found


def _n_different(ours: Sequence[Scored], theirs: Sequence[Scored]) -> int:
    return sum(a.transcription.text != b.transcription.text for a, b in zip(ours, theirs, strict=True))


def _different_words(ours: Sequence[Scored], theirs: Sequence[Scored]) -> float | None:
    pairs = [
        (compared(b.transcription.text, b.recording), compared(a.transcription.text, a.recording))
        for a, b in zip(ours, theirs, strict=True)
    ]
    return _total([word_errors(theirs_text, ours_text) for theirs_text, ours_text in pairs]).rate
