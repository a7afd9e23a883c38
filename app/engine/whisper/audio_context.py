"""How much of a 30 s window the encoder has to process (AUDIO_CONTEXT=auto). Pure.

The encoder costs more than its share for long inputs, and most of a short window is padding. So a short
window is encoded at its own length plus a margin, and `SharedModel` fills the output with the encoder's
output for silence, up to 750 positions (15 s) or up to the 1500 (30 s) of a full window. Without that silence
the decoder repeats sentences and invents text. It reads every position for every token, so half of them cost
half as much. Lengths are bucketed, so that windows of different requests can share an encoder call.
Measurements: docs/performance.md and docs/accuracy.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FULL_FRAMES = 3000
# Two seconds of silence after the last sound: the model recognizes sentence ends by it.
MARGIN_FRAMES = 200
# Both kinds of windows: rows of one decoding call have the same number of positions.
SHORT_POSITIONS = 750
FULL_POSITIONS = 1500
LEAST_SILENT_POSITIONS = 125  # 2.5 s of silence behind a short window, besides its margin
BUCKETS_FRAMES = (250, 500, 750, 1000, 1250, 1500, 2000, 2500, FULL_FRAMES)


def context_frames(features: npt.NDArray[Any]) -> int:
    """How many frames of a padded window to encode.

    Args:
        features: [1, n_mels, 3000], zeros behind the window's end (a real frame is never all zeros).
    """
    content = np.flatnonzero(features[0].any(axis=0))  # frames that are not padding
    wanted = (int(content[-1]) + 1 if content.size else 0) + MARGIN_FRAMES
    return min(bucket for bucket in BUCKETS_FRAMES if bucket >= min(wanted, FULL_FRAMES))


def decoder_positions(n_positions: int) -> int:
    """How many positions the decoder gets for a window of which the encoder made `n_positions`."""
    return SHORT_POSITIONS if n_positions + LEAST_SILENT_POSITIONS <= SHORT_POSITIONS else FULL_POSITIONS
