import time

import numpy as np
import pytest

from app.live.policy.dead_audio import DeadAudioDetector

RATE = 16_000
CHUNK = 1600


def watch(frames):
    """(kind or None, start, report) for each frame."""
    dead, at, seen = DeadAudioDetector(), 0, []
    for frame in frames:
        run = dead.feed(frame, at)
        seen.append((run.kind, run.start, run.report) if run else None)
        at += len(frame)
    return seen


def noisy(count, seed=0):
    """Frames of a quiet room."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-50, 50, CHUNK).astype(np.int16) for _ in range(count)]


def test_living_audio_is_no_run():
    """Even in a quiet room the lowest bits change."""
    assert watch(noisy(100)) == [None] * 100


def test_zeros_are_known_at_once_and_reported_once():
    """Zeros count from the first frame; they are reported after five seconds, once."""
    seen = watch([np.zeros(CHUNK, np.int16)] * 100)
    assert seen[0] == ("zeros", 0, False)
    assert [index for index, run in enumerate(seen) if run[2]] == [49]


def test_a_constant_is_dead_after_a_second():
    """A stuck converter sends one value; the run starts at its first sample."""
    seen = watch([*noisy(3), *[np.full(CHUNK, 17, np.int16)] * 20])
    assert seen[3:12] == [None] * 9
    assert seen[12] == ("constant", 3 * CHUNK, False)


def test_a_repeated_frame_is_dead_after_a_second():
    """A bridge that repeats its last buffer is detected although the frame itself is sound."""
    frame = noisy(1)[0]
    seen = watch([frame] * 60)
    assert seen[10] is not None
    assert seen[10][:2] == ("repeated", CHUNK)
    assert any(run and run[2] for run in seen)


@pytest.mark.parametrize("hz", [100, 440, 1000, 3000])
def test_a_held_tone_is_not_dead(hz):
    """A tone whose period divides the frame repeats bit for bit, but nothing is broken."""
    tone = (8000 * np.sin(2 * np.pi * hz * np.arange(60 * CHUNK) / RATE)).astype(np.int16)
    assert watch(np.split(tone, 60)) == [None] * 60


def test_life_ends_the_run():
    """After real audio a new run starts over, and is reported again."""
    zeros = [np.zeros(CHUNK, np.int16)] * 60
    seen = watch([*zeros, *noisy(1), *zeros])
    assert seen[60] is None
    assert sum(1 for run in seen if run and run[2]) == 2


def test_empty_frame_changes_nothing():
    """A frame without samples changes nothing."""
    assert watch([np.zeros(0, np.int16)]) == [None]


def test_a_huge_frame_is_judged_quickly():
    """Only the start of a large frame is transformed: two megabytes of prime length would take most of a second."""
    frame = np.random.default_rng(0).integers(-50, 50, 1_048_573).astype(np.int16)
    dead = DeadAudioDetector()
    dead.feed(frame, 0)
    began_s = time.process_time()
    run = dead.feed(frame, len(frame))
    assert run is not None
    assert run.kind == "repeated"
    assert time.process_time() - began_s < 0.1
