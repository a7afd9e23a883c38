from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ
from app.engine.speech_spans import all_spans, speech_spans
from app.engine.speech_track import SpeechTrack
from app.engine.vad import FRAME_SAMPLES
from app.engine.windows import Scanned, SpeechSpan
from tests.samples import pcm_of

SECOND = SAMPLE_RATE_HZ
FRAME = FRAME_SAMPLES
FRAME_MS = 32.0


def track_of(probabilities: Sequence[float], block_frames: int = 10_000) -> SpeechTrack:
    """A track with these probabilities."""
    told = np.array(probabilities, np.float32)
    pcm = np.repeat(told, FRAME)
    return SpeechTrack(pcm, detect=lambda heard: heard[::FRAME].copy(), block_frames=block_frames)


def frames_of(track: SpeechTrack, **how: float | None) -> list[tuple[float, float]]:
    """Speech in frames, without padding and with a pause of two frames unless told otherwise."""
    options = {"min_silence_ms": 2 * FRAME_MS, "pad_ms": 0.0, "threshold": 0.5, **how}
    found = speech_spans(track, **options)  # type: ignore[arg-type]
    return [(each.start / FRAME, each.stop / FRAME) for each in found if isinstance(each, SpeechSpan)]


def spans_of(name: str, block_s: float = 120.0) -> list[SpeechSpan]:
    """Speech in a file, searched in blocks of `block_s`."""
    track = SpeechTrack(pcm_of(name), block_frames=round(block_s * SECOND / FRAME))
    return [each for each in speech_spans(track, min_silence_ms=160, pad_ms=400) if isinstance(each, SpeechSpan)]


def test_a_weak_frame_begins_nothing_but_ends_nothing_either() -> None:
    """Hysteresis: 0.4 is no speech before 0.9, and speech behind it; 0.2 ends it after the pause."""
    weak, speech, silent = [0.4] * 3, [0.9] * 2, [0.2] * 5
    assert frames_of(track_of([*weak, *silent])) == []
    assert frames_of(track_of([*weak, *speech, *weak, *silent])) == [(3, 8)]


def test_a_short_pause_does_not_end_speech() -> None:
    """A pause must last `min_silence_ms`."""
    track = track_of([0.9, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.9])
    assert frames_of(track) == [(0, 3), (7, 8)]
    assert frames_of(track_of([0.9, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.9]), min_silence_ms=8 * FRAME_MS) == [(0, 8)]


def test_the_threshold_is_the_request_s() -> None:
    """A request with 0.8 leaves out what the default hears."""
    told = [0.4, 0.4, 0.0, 0.0, 0.0, 0.0, 0.9, 0.9]
    assert frames_of(track_of(told), threshold=None) == [(0, 2), (6, 8)]
    assert frames_of(track_of(told), threshold=0.8) == [(6, 8)]


def test_padding_is_shared_by_two_spans_and_ends_with_the_upload() -> None:
    """Three frames on each side; a pause of four is cut in its middle; nothing before 0 or behind the end."""
    told = [0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.9, *[0.0] * 9]
    assert frames_of(track_of(told), pad_ms=3 * FRAME_MS) == [(0, 4), (4, 10)]
    assert frames_of(track_of([0.0, 0.9, 0.0]), pad_ms=3 * FRAME_MS) == [(0, 3)]


def test_short_silence_at_both_ends_is_kept() -> None:
    """A whisper before the first frame that is surely speech is not cut off; long silence is."""
    told = [*[0.0] * 4, 0.9, *[0.0] * 6]
    assert frames_of(track_of(told), keep_edge_samples=6 * FRAME) == [(0, 11)]
    assert frames_of(track_of(told), keep_edge_samples=4 * FRAME) == [(0, 5)]
    assert frames_of(track_of(told), keep_edge_samples=FRAME) == [(4, 5)]


def test_a_span_knows_the_pause_before_it() -> None:
    """Also the part of it that padding has taken; the packer cuts at the longest one."""
    track = track_of([0.9, *[0.0] * 10, 0.9, *[0.0] * 4, 0.9])
    found = list(speech_spans(track, min_silence_ms=2 * FRAME_MS, pad_ms=3 * FRAME_MS, threshold=0.5))
    assert [each.pause / FRAME for each in found if isinstance(each, SpeechSpan)] == [0, 10, 4]


def test_blocks_of_any_size_find_the_same() -> None:
    """Random probabilities, searched in blocks down to three frames: the same audio is speech."""
    rng = np.random.default_rng(3)
    told = np.repeat(rng.choice([0.0, 0.35, 0.9], 200), rng.integers(1, 8, 200)).tolist()
    for pad_ms in (0.0, 3 * FRAME_MS):
        expected = _covered(frames_of(track_of(told), pad_ms=pad_ms), len(told))
        for block_frames in (100, 20):
            spans = frames_of(track_of(told, block_frames), pad_ms=pad_ms)
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
            np.testing.assert_array_equal(_covered(spans, len(told)), expected)


def test_each_block_but_the_last_is_reported() -> None:
    """Silence: reports of how far the search has come, ascending; speech that goes on is not passed."""
    track = track_of([0.0] * 25, block_frames=10)
    reports = list(speech_spans(track, min_silence_ms=64, pad_ms=0))
    assert reports == [Scanned(10 * FRAME), Scanned(20 * FRAME)]
    speaking = track_of([*[0.0] * 8, *[0.9] * 4, *[0.0] * 10], block_frames=10)
    assert next(iter(speech_spans(speaking, min_silence_ms=64, pad_ms=0))) == Scanned(8 * FRAME)


def test_the_first_span_comes_before_the_end_was_searched() -> None:
    """Speech of the first block is given out while the rest is unknown."""
    track = track_of([0.9, *[0.0] * 20, *[0.9] * 40], block_frames=10)
    assert next(iter(speech_spans(track, min_silence_ms=64, pad_ms=0))) == SpeechSpan(0, FRAME)
    assert track.n_known == 10


def test_speech_without_a_pause_comes_in_parts() -> None:
    """A talk that fills block after block is handed on as it is found, nothing lost or doubled."""
    track = track_of([0.9] * 50, block_frames=10)
    found = speech_spans(track, min_silence_ms=64, pad_ms=100)
    assert isinstance(next(found), SpeechSpan | Scanned)
    assert track.n_known < 50
    spans = frames_of(track_of([0.9] * 50, block_frames=10), pad_ms=100.0)
    assert spans[0][0] == 0
    assert spans[-1][1] == 50
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))


def test_without_detection_every_sample_is_in_one_span() -> None:
    """The whole upload, cut in the middle of pauses and at the borders of silent blocks."""
    for told in ([0.0] * 35, [0.9] * 35, [*[0.9] * 8, *[0.0] * 6, *[0.9] * 12, *[0.0] * 30, 0.9]):
        track = track_of(told, block_frames=10)
        spans = [each for each in all_spans(track, min_silence_ms=64) if isinstance(each, SpeechSpan)]
        assert [span.start for span in spans] == [0, *(span.stop for span in spans[:-1])]
        assert spans[-1].stop == track.n_samples
        assert min(len(span) for span in spans) > 0
    track = track_of([*[0.9] * 8, *[0.0] * 6, *[0.9] * 12])
    cut, rest = all_spans(track, min_silence_ms=64)
    assert (cut, rest) == (SpeechSpan(0, 11 * FRAME), SpeechSpan(11 * FRAME, 26 * FRAME, pause=6 * FRAME))


def test_small_blocks_find_the_speech_that_one_block_finds() -> None:
    """With Silero: a search in small blocks covers what a search of the whole file covers, nothing twice."""
    whole, blocks = (_covered([(s.start, s.stop) for s in spans_of("long-en.wav", s)], 80 * SECOND) for s in (999, 20))
    assert blocks.max() == 1
    missed = np.count_nonzero((whole == 1) & (blocks == 0)) / SECOND
    assert missed < 1.0, f"{missed:.2f} s of speech were lost at block borders"


def _covered(spans: Sequence[tuple[float, float]], length: int) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """How often each place is in a span."""
    counts = np.zeros(length, np.int8)
    for start, stop in spans:
        counts[round(start) : round(stop)] += 1
    return counts
