"""A small run with made-up transcriptions, for the tests of scores and reports."""

from __future__ import annotations

from pathlib import Path

from bench.accuracy.recordings import NON_SPEECH, Recording
from bench.accuracy.scores import Scored, scored
from bench.accuracy.transcription import Transcription

READ = Recording(Path("read.flac"), "one good day in may", "en", 2.0, "read speech")
DIGITS = Recording(Path("digits.flac"), "four zero eight", "en", 1.0, "digits")
FRENCH = Recording(Path("oui.flac"), "oui", "fr", 1.0, "other languages")
NOISE = Recording(Path("noise.flac"), "", None, 6.0, NON_SPEECH)
RECORDINGS = (READ, DIGITS, FRENCH, NOISE)
TEXTS = {
    "stock": ("One good day in May.", "4, 0, 8.", "Oui.", "Thank you."),
    "full": ("One bad day.", "408", "Non.", ""),
}


def made(text: str, *, cpu_s: float | None = 0.5, n_fallbacks: int = 0) -> Transcription:
    """A transcription of one window that took 0.25 s."""
    return Transcription(text, wall_s=0.25, cpu_s=cpu_s, n_windows=1, n_fallbacks=n_fallbacks)


def run() -> dict[str, list[Scored]]:
    """Two settings over four recordings."""
    return {
        name: [scored(recording, made(text)) for recording, text in zip(RECORDINGS, texts, strict=True)]
        for name, texts in TEXTS.items()
    }
