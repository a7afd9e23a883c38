"""How much of a 30 s window the encoder has to process (AUDIO_CONTEXT=auto). Pure.

The encoder costs more than its share for long inputs, and most of a short window is padding. So a short
window is encoded at its own length plus a margin, and `SharedModel` fills the rest of the output with the
encoder's output for silence. Given less than 1500 positions instead, the decoder repeats sentences and
invents text. Lengths are bucketed, so that windows of different requests can share an encoder call.
Measurements: docs/performance.md and docs/accuracy.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FULL_FRAMES = 3000
# Two seconds of silence after the last sound: the model recognizes sentence ends by it.
MARGIN_FRAMES = 200
BUCKETS_FRAMES = (250, 500, 750, 1000, 1250, 1500, 2000, 2500, FULL_FRAMES)


def context_frames(features: npt.NDArray[Any]) -> int:
    """How many frames of a padded window to encode.

    Args:
        features: [1, n_mels, 3000], zeros behind the window's end (a real frame is never all zeros).
    """
    content = np.flatnonzero(features[0].any(axis=0))  # frames that are not padding
    wanted = (int(content[-1]) + 1 if content.size else 0) + MARGIN_FRAMES
    return min(bucket for bucket in BUCKETS_FRAMES if bucket >= min(wanted, FULL_FRAMES))
