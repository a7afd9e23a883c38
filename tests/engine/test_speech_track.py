from __future__ import annotations

import numpy as np

from app.core.pcm import Pcm
from app.engine.speech_track import SpeechTrack
from app.engine.vad import FRAME_SAMPLES, Probabilities


def numbered(pcm: Pcm) -> Probabilities:
    """Frame by frame what the audio holds: each frame of `ramp` is its own number."""
    return pcm[::FRAME_SAMPLES].copy()


def ramp(n_frames: int) -> Pcm:
    """Each frame filled with its number."""
    return np.repeat(np.arange(n_frames, dtype=np.float32), FRAME_SAMPLES)


def test_blocks_join_to_the_whole_upload() -> None:
    """Every frame once, in order; each block is known when it is given out, and the last may be short."""
    track = SpeechTrack(ramp(250)[:-5], detect=numbered, block_frames=100)
    assert track.n_samples == 250 * FRAME_SAMPLES - 5
    firsts, known = [], []
    for first, probabilities in track.blocks():
        firsts.append(first)
        known.append(track.n_known)
        np.testing.assert_array_equal(probabilities, np.arange(first, track.n_known))
    assert firsts == [0, 100, 200]
    assert known == [100, 200, 250]


def test_the_detector_hears_what_came_before_each_block() -> None:
    """Two seconds of context before each block but the first, and never more than a block with its context."""
    lengths: list[int] = []

    def detect(pcm: Pcm) -> Probabilities:
        lengths.append(len(pcm) // FRAME_SAMPLES)
        return numbered(pcm)

    list(SpeechTrack(ramp(250), detect=detect, block_frames=100).blocks())
    assert lengths == [100, 164, 114]


def test_the_search_goes_on_where_it_ended() -> None:
    """A second reader of the blocks gets what the first one left; nothing is searched twice."""
    track = SpeechTrack(ramp(250), detect=numbered, block_frames=100)
    next(track.blocks())
    assert [first for first, _ in track.blocks()] == [100, 200]
    assert list(track.blocks()) == []


def test_probabilities_of_a_stretch() -> None:
    """Every frame that overlaps with the seconds asked for; at least one; never frames that are unknown yet."""
    track = SpeechTrack(ramp(250), detect=numbered, block_frames=100)
    next(track.blocks())
    assert track.between(0.0, 0.05).tolist() == [0.0, 1.0]
    assert track.between(1.0, 1.0).tolist() == [31.0]
    assert track.between(-5.0, 0.01).tolist() == [0.0]
    assert track.between(3.1, 99.0).tolist() == [96.0, 97.0, 98.0, 99.0]
    assert track.between(50.0, 60.0).tolist() == [99.0]


def test_no_audio_has_no_blocks() -> None:
    """An empty upload ends the search at once."""
    assert list(SpeechTrack(np.zeros(0, np.float32), detect=numbered).blocks()) == []


def test_speech_is_summed_over_what_was_searched() -> None:
    """Frames from the probability of speech on, of the blocks that are known; none before the search."""
    track = SpeechTrack(ramp(200), detect=lambda pcm: (numbered(pcm) % 2).astype(np.float32), block_frames=100)
    assert track.speech_s == 0
    next(track.blocks())
    assert track.speech_s == 50 * FRAME_SAMPLES / 16_000
