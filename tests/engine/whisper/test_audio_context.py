from __future__ import annotations

import numpy as np
import pytest

from app.engine.whisper.audio_context import (
    BUCKETS_FRAMES,
    FULL_FRAMES,
    MARGIN_FRAMES,
    context_frames,
    decoder_positions,
)
from app.engine.whisper.model import Model
from tests.samples import pcm_of


def padded(n_frames: int) -> np.ndarray:
    """[1, 80, 3000]: sound, then the padding that faster-whisper adds."""
    features = np.zeros((1, 80, FULL_FRAMES), np.float32)
    features[..., :n_frames] = -0.5
    return features


@pytest.mark.parametrize(
    ("content", "frames"), [(0, 250), (1, 250), (50, 250), (51, 500), (300, 500), (301, 750), (1300, 1500),
                            (1301, 2000), (2300, 2500), (2301, 3000), (2900, 3000), (3000, 3000)]
)  # fmt: skip
def test_a_window_is_encoded_at_its_own_length_plus_a_margin(content: int, frames: int) -> None:
    """Two seconds of silence stay behind the sound, and lengths come in few sizes."""
    assert context_frames(padded(content)) == frames


def test_buckets_end_at_what_the_encoder_takes_and_are_even() -> None:
    """The encoder halves the frames, so every bucket is even; the largest is the whole window."""
    assert BUCKETS_FRAMES[-1] == FULL_FRAMES
    assert sorted(set(BUCKETS_FRAMES)) == list(BUCKETS_FRAMES)
    assert all(frames % 2 == 0 for frames in BUCKETS_FRAMES)
    assert BUCKETS_FRAMES[0] > MARGIN_FRAMES


@pytest.mark.parametrize(
    ("encoded", "positions"), [(125, 750), (500, 750), (625, 750), (750, 1500), (1000, 1500), (1500, 1500)]
)
def test_the_decoder_gets_one_of_two_lengths(encoded: int, positions: int) -> None:
    """Up to 750 positions with at least 2.5 s of silence behind the window, else all 1500."""
    assert decoder_positions(encoded) == positions


@pytest.mark.parametrize("file", ["en-00.wav", "silence.wav", "noise.wav"])
def test_no_real_frame_is_taken_for_padding(demo: Model, file: str) -> None:
    """Also digital silence has features that are not zero, so trailing silence is never cut off."""
    features = demo.whisper.feature_extractor(pcm_of(file))
    assert features.any(axis=0).all()
    with_tail = demo.whisper.feature_extractor(np.concatenate([pcm_of("en-00.wav"), np.zeros(16_000, np.float32)]))
    assert with_tail.any(axis=0).all()
