from __future__ import annotations

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ, to_pcm16, to_samples


def test_seconds_become_whole_samples():
    """A duration is rounded to the nearest sample at the one sample rate."""
    assert SAMPLE_RATE_HZ == 16_000
    assert [to_samples(seconds) for seconds in (0.0, 1.0, 0.5, 1 / 32_000 + 1e-9)] == [0, 16_000, 8_000, 1]


def test_conversion_clips_and_silences():
    """Beyond full scale is clipped; NaN and infinities become silence."""
    pcm = np.array([0.0, 1.0, -1.0, 3.0, np.nan, np.inf, -np.inf], dtype=np.float32)
    assert to_pcm16(pcm).tolist() == [0, 32767, -32767, 32767, 0, 0, 0]
