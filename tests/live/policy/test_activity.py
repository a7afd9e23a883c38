import numpy as np
import pytest

from app.core.pcm import to_pcm16
from app.live.policy.activity import FRAME_SAMPLES, Activity
from tests.live import tones

RATE = tones.RATE


def judge(pcm, chunk=4096):
    """An Activity that was fed the audio in chunks."""
    activity = Activity()
    pcm16 = to_pcm16(pcm.astype(np.float32))
    for start in range(0, len(pcm16), chunk):
        activity.feed(pcm16[start : start + chunk])
    return activity


def noise(seconds, level, seed=0):
    """A steady hiss of this RMS level."""
    return np.random.default_rng(seed).normal(0, level, round(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize("level", [0.0, 1e-5, 1e-4, 5e-4, 1e-3])
def test_silence_is_silent(level):
    """Digital silence and the steady hiss of a quiet room are not active, from the first frame on."""
    assert judge(noise(20, level)).active_samples(0, 20 * RATE) == 0


def test_loud_noise_is_not_taken_for_silence():
    """Anything above -50 dBFS is active, because it may contain words."""
    assert judge(noise(5, 0.01)).active_samples(0, 5 * RATE) > 4 * RATE


@pytest.mark.parametrize("gain", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("hiss", [0.0, 1e-4])
def test_every_word_is_active(gain, hiss):
    """Speech at a hundredth of its level is still active, in silence and over a hiss, word by word."""
    recording = tones.speak([["alpha", "bravo"], ["kilo"]], level=0.2 * gain, noise=hiss)
    activity = judge(recording.pcm)
    for word in recording.words:
        start, end = round(word.start * RATE), round(word.end * RATE)
        assert activity.active_samples(start, end) > 0.8 * (end - start)


def test_flags_do_not_depend_on_chunks():
    """The same audio in frames of other sizes is classified the same."""
    pcm = tones.chatter(5, seed=1, noise=5e-4).pcm
    ends = [judge(pcm, chunk).last_active_end(len(pcm)) for chunk in (4096, 320, 777, len(pcm))]
    assert len(set(ends)) == 1


def test_first_and_last_activity():
    """The onset and the end of a sound are found with the precision of a frame."""
    pcm = np.concatenate([np.zeros(RATE), np.full(RATE // 2, 0.1), np.zeros(RATE)])
    activity = judge(pcm)
    assert activity.first_active(0) == RATE
    assert activity.first_active(RATE + 100) == RATE + 100
    assert activity.last_active_end(len(pcm)) == RATE + RATE // 2
    assert activity.first_active(2 * RATE) is None
    assert activity.last_active_end(RATE) is None


def test_answers_stay_true_after_a_drop():
    """Dropping frames does not move the others."""
    pcm = np.concatenate([np.full(RATE, 0.1), np.zeros(RATE), np.full(RATE, 0.1)])
    activity = judge(pcm)
    activity.drop_before(RATE)
    assert activity.first_active(0) == 2 * RATE
    assert activity.active_samples(0, 3 * RATE) == RATE


def test_last_quiet_run():
    """A cut is in the middle of the last pause that is long enough, and nowhere else."""
    pcm = np.concatenate(
        [np.full(RATE, 0.1), np.zeros(RATE // 2), np.full(RATE, 0.1), np.zeros(800), np.full(RATE, 0.1)]
    )
    activity = judge(pcm)
    cut = activity.last_quiet(0, len(pcm), RATE // 2)
    assert cut == pytest.approx(1.25 * RATE, abs=FRAME_SAMPLES)
    assert activity.last_quiet(2 * RATE, len(pcm), RATE // 2) is None


def test_overruled_activity_is_silence():
    """Dead audio is not active, whatever its level."""
    activity = judge(np.full(2 * RATE, 0.1))
    activity.silence(0, RATE)
    assert activity.first_active(0) == RATE


def test_floor_recovers_after_noise():
    """After noise ends, quiet speech is active at once; after noise begins, the floor follows within seconds."""
    pcm = np.concatenate([noise(3, 2e-4), noise(10, 1e-3, seed=1)])
    activity = judge(pcm)
    assert activity.active_samples(3 * RATE, 4 * RATE) > 0
    assert activity.active_samples(10 * RATE, 13 * RATE) == 0
