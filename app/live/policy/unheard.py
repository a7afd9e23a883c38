"""Whether audio in which the service found no words may hold speech all the same. Pure.

The service's voice activity detection can be wrong, and audio without words is dropped. Where a sound
rises above the rest of its window for as long as a short word, the service is asked again without its
detection. Steady noise and single clicks are not worth a second request.
"""

from __future__ import annotations

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ
from app.live.policy.activity import ABOVE_FLOOR, FRAME_SAMPLES, LOUDEST_SILENCE

QUIETEST_PERCENT = 10
LEAST_WORD_S = 0.2


def may_hold_speech(pcm: bytes) -> bool:
    """Do little-endian 16-bit samples hold 0.2 s that are loud, and 6 dB above the quietest tenth?"""
    samples = np.frombuffer(pcm, dtype="<i2")
    count = len(samples) // FRAME_SAMPLES
    if not count:
        return False
    frames = samples[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES).astype(np.float32) / 32768.0
    levels = np.sqrt((frames**2).mean(axis=1))  # [count]
    limit = max(LOUDEST_SILENCE, ABOVE_FLOOR * float(np.percentile(levels, QUIETEST_PERCENT)))
    return int((levels > limit).sum()) * FRAME_SAMPLES >= LEAST_WORD_S * SAMPLE_RATE_HZ
