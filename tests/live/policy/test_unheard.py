import numpy as np
import pytest

from app.core.pcm import SAMPLE_RATE_HZ, to_pcm16
from app.live.policy.unheard import may_hold_speech
from tests.live import tones
from tests.samples import at_level, knock, pcm_of


def verdict(pcm) -> bool:
    """What is said of float samples."""
    return may_hold_speech(to_pcm16(np.asarray(pcm, dtype=np.float32)).tobytes())


@pytest.mark.parametrize("file", ["en-00.wav", "de-00.wav", "es-00.wav", "human/jfk.wav"])
@pytest.mark.parametrize("level_db", [-40, -25])
def test_speech_may_be_speech(file, level_db):
    """Soft and loud voices, and speech in noise of a third of its level."""
    voice = at_level(pcm_of(file), level_db)
    noise = np.random.default_rng(0).standard_normal(len(voice)) * 10 ** (level_db / 20) / 3
    assert verdict(voice)
    assert verdict(voice + noise)


def test_one_short_word_is_enough():
    """A word of 0.3 s in seconds of silence."""
    assert verdict(tones.speak([["alpha"]], lead_s=2, tail_s=2).pcm)


@pytest.mark.parametrize("level", [0.0, 5e-4, 0.01, 0.2])
def test_silence_and_steady_noise_are_not(level):
    """Whatever its level."""
    assert not verdict(np.random.default_rng(0).standard_normal(10 * SAMPLE_RATE_HZ) * level)


def test_a_hum_and_a_click_are_not():
    """A tone that is always there, and a knock of 0.1 s."""
    at_s = np.arange(5 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    assert not verdict(0.2 * np.sin(2 * np.pi * 100 * at_s))
    assert not verdict(np.concatenate([np.zeros(SAMPLE_RATE_HZ), knock(), np.zeros(SAMPLE_RATE_HZ)]))


@pytest.mark.parametrize("n_samples", [0, 100])
def test_less_than_a_frame_is_not(n_samples):
    """Nothing to measure."""
    assert not verdict(np.ones(n_samples))
