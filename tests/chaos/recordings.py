"""The recordings that a soak test sends: short ones in many formats, parts of a conversation, minutes. Blocking."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ, Pcm16, to_pcm16
from tests import samples, sounds
from tests.sounds import Kind

SHORT = ("en-00.wav", "en-06.wav", "en-10.wav", "en-18.wav", "human/jfk.wav")
CONVERSATION = "long-en.wav"
PART_S = 30.0  # of the conversation: what one live client says
LONG_S = 180.0
FORMATS = (
    Kind("flac", "flac", SAMPLE_RATE_HZ, "mono"),
    Kind("mp3", "libmp3lame"),
    Kind("ogg", "libopus", 48_000),
    Kind("webm", "libopus", 48_000),
    Kind("ipod", "aac"),
    Kind("matroska", "vorbis"),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One file: its name, its bytes and its length."""

    name: str
    data: bytes
    audio_s: float


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the conversation: as a file, as samples for live clients, and what is said in it."""

    recording: Recording
    pcm: Pcm16
    said: str


@dataclass(frozen=True, slots=True)
class Recordings:
    """Everything that is sent."""

    short: tuple[Recording, ...]
    encoded: tuple[Recording, ...]
    parts: tuple[Part, ...]
    long: Recording


def load_recordings() -> Recordings:
    """Read, cut and encode them; takes about a second."""
    conversation = to_pcm16(samples.pcm_of(CONVERSATION))
    return Recordings(
        short=tuple(_recording(_stem(name) + ".wav", to_pcm16(samples.pcm_of(name))) for name in SHORT),
        encoded=tuple(_encoded(name, kind) for name, kind in zip(SHORT * 2, FORMATS, strict=False)),
        parts=tuple(_parts_of(conversation)),
        long=_recording("three-minutes.wav", np.resize(conversation, round(LONG_S * SAMPLE_RATE_HZ))),
    )


def _parts_of(conversation: Pcm16) -> Iterator[Part]:
    """Cut between sentences into parts of at least `PART_S`; the rest belongs to the last part."""
    begin_s, said = 0.0, list[str]()
    sentences = samples.sample(CONVERSATION).segments
    total_s = len(conversation) / SAMPLE_RATE_HZ
    for sentence, following in zip_longest(sentences, sentences[1:]):
        said.append(sentence.text)
        end_s = total_s if following is None else (sentence.end + following.start) / 2
        if end_s == total_s or (end_s - begin_s >= PART_S and total_s - end_s >= PART_S):
            pcm = conversation[round(begin_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
            yield Part(_recording(f"from-{begin_s:.0f}.wav", pcm), pcm, " ".join(said))
            begin_s, said = end_s, []


def _recording(name: str, pcm: Pcm16) -> Recording:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        writer.writeframes(pcm.tobytes())
    return Recording(name, file.getvalue(), len(pcm) / SAMPLE_RATE_HZ)


def _encoded(name: str, kind: Kind) -> Recording:
    pcm = samples.pcm_of(name)
    audio_s = len(pcm) / SAMPLE_RATE_HZ
    at_s = np.arange(round(audio_s * kind.rate_hz)) / kind.rate_hz
    upsampled = np.interp(at_s, np.arange(len(pcm)) / SAMPLE_RATE_HZ, pcm).astype(np.float32)
    return Recording(f"{_stem(name)}.{kind.container}", sounds.encode(upsampled, kind), audio_s)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".wav")
