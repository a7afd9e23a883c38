"""The sets on which a model is evaluated: clips, full windows, long samples, silence and noise.

Held-out sentences are spoken by `synthesize` in the training voices; sentences of a sample
folder's manifest are left out of them, so that no sentence counts twice.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.demo_model.scoring import Span
from tools.demo_model.sentences import LANGUAGES, Language
from tools.demo_model.synthesize import Utterance, read_parts
from tools.demo_model.windows import SAMPLE_RATE, WINDOW_S, samples, whole_ticks

Pcm = NDArray[np.float32]
N_WINDOWS = 12  # full 30 s windows per language
SEED = 11


@dataclass(frozen=True, slots=True)
class Sample:
    """Audio with its reference text.

    Attributes:
        name: of the file or the set's entry.
        pcm: [n_samples] float32, 16 kHz.
        language: None for silence and noise.
        text: all of it.
        sentences: their times, where known.
    """

    name: str
    pcm: Pcm
    language: Language | None
    text: str
    sentences: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Sets:
    """All sets on which a model is evaluated."""

    clips: list[Sample]
    held_out: list[Sample]
    windows: list[Sample]
    long: list[Sample]
    quiet: list[Sample]


def read_sets(folder: Path, speech: Path, *, count: int) -> Sets:
    """Collect the sets.

    Args:
        folder: samples with their manifest.json.
        speech: what `synthesize` wrote.
        count: held-out sentences per language.
    """
    manifest = list(read_manifest(folder))
    spoken = {sample.text for sample in manifest}
    for sample in manifest:
        if sample.name.startswith("long"):
            records = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            spoken |= {s["text"] for record in records for s in record.get("segments", [])}
    held_out, windows = [], []
    for path, utterances in read_parts(speech, "held-out"):
        pcm: NDArray[np.int16] = np.memmap(path, np.int16, mode="r")
        for language in LANGUAGES:
            chosen = [u for u in utterances if u.language == language and u.text not in spoken]
            held_out += [as_sample(u, pcm) for u in chosen[:count]]
            windows += full_windows(chosen[:count], pcm, language)
    speaking = [sample for sample in manifest if sample.language]
    return Sets(
        clips=[sample for sample in speaking if not sample.name.startswith("long")],
        held_out=held_out,
        windows=windows,
        long=[sample for sample in speaking if sample.name.startswith("long")],
        quiet=[sample for sample in manifest if not sample.language] + list(made_quiet()),
    )


def read_manifest(folder: Path) -> Iterator[Sample]:
    """Read a folder of samples."""
    from faster_whisper.audio import decode_audio

    for record in json.loads((folder / "manifest.json").read_text(encoding="utf-8")):
        pcm = decode_audio(str(folder / record["file"]), sampling_rate=SAMPLE_RATE)
        spans = tuple(Span(s["start"], s["end"]) for s in record.get("segments", ()))
        yield Sample(record["file"], pcm, record["language"], record["text"], spans)


def made_quiet() -> Iterator[Sample]:
    """A full window of silence, and white and brown noise from faint to loud, 6 s each."""
    yield Sample("silence", np.zeros(samples(WINDOW_S), np.float32), None, "", ())
    noise = np.random.default_rng(SEED)
    for level in (0.001, 0.01, 0.1):
        white = noise.standard_normal(samples(6.0))
        brown = np.cumsum(white)
        brown -= np.linspace(brown[0], brown[-1], len(brown))
        for colour, pcm in (("white", white), ("brown", brown)):
            scaled = np.clip(level * pcm / pcm.std(), -1, 1).astype(np.float32)
            yield Sample(f"{colour} noise at {level}", scaled, None, "", ())


def cut(utterance: Utterance, pcm: NDArray[np.int16]) -> Pcm:
    """[n_samples] float32 of one utterance of a part."""
    piece = pcm[utterance.start : utterance.start + utterance.n_samples]
    return piece.astype(np.float32) / np.float32(32768)


def as_sample(utterance: Utterance, pcm: NDArray[np.int16]) -> Sample:
    """One held-out sentence by itself."""
    return Sample("held-out", cut(utterance, pcm), utterance.language, utterance.text, ())


def full_windows(utterances: Sequence[Utterance], pcm: NDArray[np.int16], language: Language) -> list[Sample]:
    """Fill 30 s windows with as many sentences as go in, 0.3 to 1.2 s apart."""
    rng = random.Random(SEED)
    waiting = list(utterances)
    rng.shuffle(waiting)
    filled = []
    for _ in range(N_WINDOWS):
        audio = np.zeros(samples(WINDOW_S), np.float32)
        at, texts, spans = samples(0.3), [], []
        while waiting and at + waiting[-1].n_samples <= len(audio):
            utterance = waiting.pop()
            end = at + utterance.n_samples
            audio[at:end] = cut(utterance, pcm)
            texts.append(utterance.text)
            spans.append(Span(at / SAMPLE_RATE, end / SAMPLE_RATE))
            at = whole_ticks(end) + samples(rng.uniform(0.3, 1.2))
        if not waiting:
            break  # not full
        filled.append(Sample("window", audio, language, " ".join(texts), tuple(spans)))
    return filled
