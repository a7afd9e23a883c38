"""The audio that a load test sends: files, their lengths and their reference texts."""

from __future__ import annotations

import io
import json
import re
import wave
from dataclasses import dataclass
from pathlib import Path

import jiwer

RATE_HZ = 16_000
BYTES_PER_SAMPLE = 2


@dataclass(frozen=True, slots=True)
class Sound:
    """One file: its bytes, its length from its header, and its text ("" if unknown)."""

    name: str
    wav: bytes
    audio_s: float
    text: str
    language: str


def load(path: Path) -> Sound:
    """Read a WAV file, its text from `<name>.txt` or the folder's manifest.json.

    Raises:
        ValueError: it is no 16 kHz mono 16-bit WAV file.
    """
    data = path.read_bytes()
    try:
        with wave.open(io.BytesIO(data), "rb") as header:
            shape = (header.getframerate(), header.getnchannels(), header.getsampwidth())
            audio_s = header.getnframes() / header.getframerate()
    except (wave.Error, EOFError, ZeroDivisionError) as exc:
        raise ValueError(f"{path}: not a WAV file ({exc})") from exc
    if shape != (RATE_HZ, 1, BYTES_PER_SAMPLE):
        raise ValueError(f"{path}: {shape} is not 16 kHz mono 16 bit; convert it: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav")
    text, language = _reference(path)
    return Sound(path.name, data, audio_s, text, language)


def _reference(path: Path) -> tuple[str, str]:
    """Return the text and language of a file; "" if they are unknown."""
    beside = path.with_suffix(".txt")
    if beside.is_file():
        return beside.read_text(encoding="utf-8").strip(), ""
    manifest = path.with_name("manifest.json")
    if manifest.is_file():
        for entry in json.loads(manifest.read_text(encoding="utf-8")):
            if entry["file"] == path.name:
                return str(entry["text"]), str(entry["language"])
    return "", ""


def pcm_of(sounds: list[Sound]) -> bytes:
    """Return all sounds in order as raw samples."""
    parts = []
    for sound in sounds:
        with wave.open(io.BytesIO(sound.wav), "rb") as source:
            parts.append(source.readframes(source.getnframes()))
    return b"".join(parts)


def cut(pcm: bytes, begin_s: float, end_s: float) -> bytes:
    """Return a part of the endlessly repeated samples as a WAV file."""
    first, last = (int(moment_s * RATE_HZ) * BYTES_PER_SAMPLE for moment_s in (begin_s, end_s))
    repeated = pcm * ((last - first) // len(pcm) + 2)
    offset = first % len(pcm)
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setparams((1, BYTES_PER_SAMPLE, RATE_HZ, 0, "NONE", ""))
        target.writeframes(repeated[offset : offset + last - first])
    return out.getvalue()


def word_errors(reference: str, text: str) -> tuple[int, int]:
    """Return the word errors and the words of the reference, ignoring case and punctuation."""
    expected, heard = _plain(reference), _plain(text)
    if not expected:
        return 0, 0
    if not heard:
        return len(expected.split()), len(expected.split())
    result = jiwer.process_words(expected, heard)
    return result.substitutions + result.deletions + result.insertions, len(expected.split())


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s']", " ", text.lower()).split())
