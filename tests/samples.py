"""The speech samples of the tests, their texts, and how a transcript is compared with them."""

from __future__ import annotations

import io
import json
import re
import wave
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np

from app.core.pcm import Pcm

AUDIO = Path(__file__).parent / "audio"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One spoken sentence and when it is spoken."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A file of speech with what is said in it."""

    file: str
    language: str | None
    text: str
    duration_s: float
    segments: tuple[Sentence, ...] = ()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return AUDIO / self.file


def samples() -> list[Sample]:
    """Every sample of the manifest."""
    listed = json.loads((AUDIO / "manifest.json").read_text(encoding="utf-8"))
    return [
        Sample(**{**entry, "segments": tuple(Sentence(**sentence) for sentence in entry.get("segments", ()))})
        for entry in listed
    ]


def short(language: str) -> list[Sample]:
    """The one-sentence clips of a language."""
    return [each for each in samples() if each.language == language and not each.segments]


def sample(file: str) -> Sample:
    """One sample by its file name."""
    return next(each for each in samples() if each.file == file)


def pcm_of(file: str) -> Pcm:
    """A sample's [n_samples] float32, read without the product's own decoder."""
    with wave.open(str(AUDIO / file)) as reader:
        samples = np.frombuffer(reader.readframes(reader.getnframes()), np.int16)
    return (samples / 32768).astype(np.float32)


def beginning(file: str, seconds: float) -> bytes:
    """The first seconds of a sample as a WAV file of its own."""
    body = io.BytesIO()
    with wave.open(str(AUDIO / file)) as reader, wave.open(body, "wb") as writer:
        writer.setparams(reader.getparams())
        writer.writeframes(reader.readframes(int(seconds * reader.getframerate())))
    return body.getvalue()


def joined(*files: str, pause_s: float = 0.6) -> bytes:
    """Several samples after each other, a pause after each, as one WAV file."""
    body = io.BytesIO()
    with wave.open(body, "wb") as writer:
        for number, file in enumerate(files):
            with wave.open(str(AUDIO / file)) as reader:
                if number == 0:
                    writer.setparams(reader.getparams())
                writer.writeframes(reader.readframes(reader.getnframes()))
                writer.writeframes(bytes(int(pause_s * reader.getframerate()) * reader.getsampwidth()))
    return body.getvalue()


def word_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Wrong words over spoken words, case and punctuation aside."""
    return float(jiwer.wer([plain(text) for text in references], [plain(text) for text in hypotheses]))


def plain(text: str) -> str:
    """Lower case, letters and apostrophes only, single spaces."""
    return " ".join(re.sub(r"[^\w' ]+", " ", text.lower()).split())


def at_level(pcm: Pcm, level_db: float) -> Pcm:
    """The same sound with this root mean square, in dBFS."""
    quieter: Pcm = (pcm * (10 ** (level_db / 20) / np.sqrt(np.mean(pcm**2)))).astype(np.float32)
    return quieter


def knock() -> Pcm:
    """A loud knock in half a second of silence."""
    pcm = np.zeros(8000, np.float32)
    decay = np.exp(-np.arange(1600) / 200)
    pcm[3200:4800] = np.clip(0.5 * np.random.default_rng(0).standard_normal(1600) * decay, -1.0, 1.0)
    return pcm
