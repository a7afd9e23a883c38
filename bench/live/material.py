"""The material of the load test: audio files, their texts, and the times of their sentences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.live.client.sources import read_wav

RATE = 16_000
LOUD = 0.02 * 32768
GAP_S = 1.0  # silence between repetitions of a file


@dataclass(frozen=True)
class Sentence:
    """Seconds of the recording as played, repetitions included."""

    start: float
    end: float


@dataclass(frozen=True)
class Material:
    """One client's recording: [n] int16 at 16 kHz, its reference text (None if unknown) and sentences."""

    name: str
    language: str | None
    pcm: np.ndarray
    reference: str | None
    sentences: tuple[Sentence, ...]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.pcm) / RATE


def load(audio_dir: Path, references: Path | None = None, only: str = "") -> list[Material]:
    """Every WAV file of a directory with `only` in its name.

    References come from a manifest (a list of {file, text, language?, segments?}; default
    `manifest.json` beside the audio) or from a text file of the same name.
    """
    manifest_file = references or audio_dir / "manifest.json"
    known = {}
    if manifest_file.is_file():
        known = {item["file"]: item for item in json.loads(manifest_file.read_text(encoding="utf-8"))}
    found = []
    for path in sorted(audio_dir.glob("*.wav")):
        if only not in path.name:
            continue
        item = known.get(path.name, {})
        text = item.get("text")
        if text is None and path.with_suffix(".txt").is_file():
            text = path.with_suffix(".txt").read_text(encoding="utf-8")
        pcm = read_wav(path)
        sentences = tuple(Sentence(s["start"], s["end"]) for s in item.get("segments", ()))
        if text and not sentences:
            sentences = (_spoken(pcm),)
        found.append(Material(path.name, item.get("language"), pcm, text, sentences))
    if not found:
        raise SystemExit(f"{audio_dir}: no WAV file" + (f" with {only!r} in its name" if only else ""))
    return found


def _spoken(pcm: np.ndarray) -> Sentence:
    """From the first loud sample to the last, for a file without sentence times."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > LOUD)
    return Sentence(loud[0] / RATE, loud[-1] / RATE) if len(loud) else Sentence(0.0, len(pcm) / RATE)


def repeated(material: Material, at_least_s: float) -> Material:
    """The recording, repeated until it lasts at least `at_least_s`."""
    period_s = material.duration_s + GAP_S
    times = max(1, round(at_least_s / period_s))
    gap = np.zeros(round(GAP_S * RATE), dtype=material.pcm.dtype)
    pcm = np.concatenate([part for _ in range(times) for part in (material.pcm, gap)])
    return Material(
        material.name,
        material.language,
        pcm,
        None if material.reference is None else " ".join([material.reference] * times),
        tuple(
            Sentence(s.start + turn * period_s, s.end + turn * period_s)
            for turn in range(times)
            for s in material.sentences
        ),
    )
