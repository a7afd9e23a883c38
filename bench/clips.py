"""Speech of an exact length, cut from the samples the tests use, as 16 kHz mono 16-bit WAV.

The output of a random model does not depend on the audio, but the work of audio decoding, voice activity detection
and feature extraction does: so the load is real speech, and all clips of a set differ.
"""

from __future__ import annotations

import io
import wave
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "audio"
SAMPLE_RATE_HZ = 16_000
SAMPLE_BYTES = 2

Pcm16 = npt.NDArray[np.int16]


def clips(clip_s: float, n_clips: int) -> list[bytes]:
    """Return `n_clips` different WAV files with exactly `clip_s` seconds of speech each."""
    speech = _speech()
    n_samples = round(clip_s * SAMPLE_RATE_HZ)
    step = max(len(speech) // n_clips, 1)
    return [to_wav(np.take(speech, range(at, at + n_samples), mode="wrap")) for at in range(0, step * n_clips, step)]


def to_wav(pcm: Pcm16) -> bytes:
    """Return [n_samples] int16 as a WAV file."""
    body = io.BytesIO()
    with wave.open(body, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(SAMPLE_BYTES)
        writer.setframerate(SAMPLE_RATE_HZ)
        writer.writeframes(pcm.tobytes())
    return body.getvalue()


@cache
def _speech() -> Pcm16:
    """Return all speech samples joined, [n_samples] int16."""
    files = [path for path in sorted(SAMPLES.glob("*.wav")) if path.stem not in ("silence", "noise")]
    return np.concatenate([_read(path) for path in files])


def _read(path: Path) -> Pcm16:
    with wave.open(str(path)) as reader:
        shape = (reader.getframerate(), reader.getnchannels(), reader.getsampwidth())
        if shape != (SAMPLE_RATE_HZ, 1, SAMPLE_BYTES):
            raise ValueError(f"{path}: {shape} is not 16 kHz mono 16-bit; convert it first")
        return np.frombuffer(reader.readframes(reader.getnframes()), np.int16)
