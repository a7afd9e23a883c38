"""The features that an encoder is calibrated and compared on: synthetic speech, noise and silence. Blocking.

`calibration.ogg` holds 26 s of English, German and Spanish from espeak-ng and flite, made for this project.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper.audio import decode_audio

from app.core.pcm import SAMPLE_RATE_HZ

Array = npt.NDArray[Any]

SPEECH = Path(__file__).with_name("calibration.ogg")
FULL_FRAMES, SHORT_FRAMES, TRIAL_FRAMES = 3000, 750, 1000
SHORT_SAMPLES = 6 * SAMPLE_RATE_HZ
NOISE_LEVEL = 0.01


def calibration_windows(extract: Callable[[Array], Array]) -> list[Array]:
    """One window of 30 s, short ones with silence at their end, noise, and silence alone: each [1, n_mels, n_frames].

    Args:
        extract: makes features [n_mels, n_frames] from pcm [n_samples].
    """
    pcm = _speech()
    short = [pcm[start : start + SHORT_SAMPLES] for start in range(0, len(pcm) - SHORT_SAMPLES + 1, SHORT_SAMPLES)]
    noise = (NOISE_LEVEL * np.random.default_rng(0).standard_normal(SHORT_SAMPLES)).astype(np.float32)
    full = _window(extract(pcm), FULL_FRAMES)
    return [full, *(_window(extract(part), SHORT_FRAMES) for part in (*short, noise)), np.zeros_like(full)]


def trial_window(extract: Callable[[Array], Array]) -> Array:
    """Eight seconds of speech and two of silence, [1, n_mels, 1000]."""
    return _window(extract(_speech()[: 8 * SAMPLE_RATE_HZ]), TRIAL_FRAMES)


def _speech() -> Array:
    pcm: Array = decode_audio(str(SPEECH), sampling_rate=SAMPLE_RATE_HZ)
    return pcm


def _window(features: Array, n_frames: int) -> Array:
    """Features of any length as one row of `n_frames`; what is missing are zeros, as in faster-whisper."""
    row = np.zeros((1, features.shape[0], n_frames), np.float32)
    used = min(features.shape[1], n_frames)
    row[0, :, :used] = features[:, :used]
    return row
