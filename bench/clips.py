"""Speech of an exact length, as 16 kHz mono 16-bit WAV: from a folder of recordings, or the samples the tests use.

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

from app.audio.decode import decode_audio
from bench.accuracy.recordings import recordings_in

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "audio"
SAMPLE_RATE_HZ = 16_000
SAMPLE_BYTES = 2
MAX_RECORDING_S = 3600.0

Pcm16 = npt.NDArray[np.int16]


def clips(clip_s: float, n_clips: int, recordings: Path | None = None) -> list[bytes]:
    """Return `n_clips` different WAV files with exactly `clip_s` seconds of speech each.

    Args:
        clip_s: length of each, in seconds.
        n_clips: how many; fewer if the recordings are too short for so many.
        recordings: a folder with a `manifest.json`; None = the samples of the tests.

    Raises:
        ValueError: no recording is that long.
    """
    if recordings is not None:
        return recorded_clips(clip_s, n_clips, recordings)
    speech = _speech()
    n_samples = round(clip_s * SAMPLE_RATE_HZ)
    step = max(len(speech) // n_clips, 1)
    return [to_wav(np.take(speech, range(at, at + n_samples), mode="wrap")) for at in range(0, step * n_clips, step)]


def recorded_clips(clip_s: float, n_clips: int, folder: Path) -> list[bytes]:
    """Return clips of English recordings, each from one recording, spread over all that are long enough.

    Raises:
        ValueError: no recording is that long.
    """
    n_samples = round(clip_s * SAMPLE_RATE_HZ)
    cut = [
        pcm[at : at + n_samples]
        for each in recordings_in(folder)
        if each.counts and each.duration_s >= clip_s
        for pcm in [decode_audio(each.path.read_bytes(), max_audio_s=MAX_RECORDING_S)]
        for at in range(0, len(pcm) - n_samples + 1, n_samples)
    ]
    if not cut:
        raise ValueError(f"{folder}: no English recording has {clip_s:g} s; use shorter clips or other recordings")
    chosen = cut[:: max(len(cut) // n_clips, 1)][:n_clips]
    return [to_wav((np.clip(pcm, -1.0, 1.0) * np.iinfo(np.int16).max).astype(np.int16)) for pcm in chosen]


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
