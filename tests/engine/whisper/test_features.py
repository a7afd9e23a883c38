from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from app.core.pcm import SAMPLE_RATE_HZ
from app.engine.whisper.features import BLOCK_FRAMES, BlockFeatureExtractor
from tests.samples import pcm_of

HOP_SAMPLES = 160


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize(
    "n_samples",
    [
        2000,
        (BLOCK_FRAMES - 2) * HOP_SAMPLES,
        (BLOCK_FRAMES - 1) * HOP_SAMPLES,
        BLOCK_FRAMES * HOP_SAMPLES,
        7 * SAMPLE_RATE_HZ + 17,
        30 * SAMPLE_RATE_HZ,
    ],
)
def test_the_features_are_those_of_faster_whisper(n_samples: int, n_mels: int) -> None:
    """Equal to the last bit, for a window shorter than a block, around the end of one, and for 30 s."""
    pcm = np.resize(pcm_of("en-12.wav"), n_samples).astype(np.float32)
    expected = FeatureExtractor(feature_size=n_mels)(pcm)
    found = BlockFeatureExtractor(feature_size=n_mels)(pcm)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_full_window_needs_half_the_memory() -> None:
    """Scratch memory and result of 30 s of audio: less than 16 MB, where faster-whisper needs 31."""
    extract = BlockFeatureExtractor()
    pcm = np.resize(pcm_of("en-12.wav"), 30 * SAMPLE_RATE_HZ).astype(np.float32)
    tracemalloc.start()
    try:
        extract(pcm)
        assert tracemalloc.get_traced_memory()[1] < 16e6
    finally:
        tracemalloc.stop()
