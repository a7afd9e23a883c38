"""Audio samples: the one sample rate and the array types that every package uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
"""Whisper's input rate; all audio is resampled to it."""

Pcm = NDArray[np.float32]
"""[n_samples] float32 in [-1, 1], 16 kHz mono."""

Pcm16 = NDArray[np.int16]
"""[n_samples] int16, 16 kHz mono."""


def to_samples(seconds: float) -> int:
    """Round a duration in seconds to whole samples."""
    return round(seconds * SAMPLE_RATE_HZ)


def to_pcm16(pcm: Pcm) -> Pcm16:
    """Convert [n_samples] float to [n_samples] int16; clip beyond [-1, 1], and write NaN and infinities as silence."""
    finite = np.nan_to_num(pcm, nan=0.0, posinf=0.0, neginf=0.0)
    return (np.clip(finite, -1.0, 1.0) * 32767.0).astype("<i2")
