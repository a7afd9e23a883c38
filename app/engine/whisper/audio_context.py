"""How much of the 30 s of padding a short window keeps (AUDIO_CONTEXT=auto). Pure.

Whisper's encoder was trained on 30 s; a shorter input is faster by more than the ratio, and costs
accuracy on stock weights. A margin of silence stays, and lengths are rounded up to buckets so that
windows of different requests can share a call. Measurements: docs/performance.md.
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
