from __future__ import annotations

import numpy as np
from faster_whisper.vad import get_vad_model

from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.engine.vad import (
    FRAME_SAMPLES,
    FRAMES_PER_SECOND,
    NETWORK_FRAMES,
    Probabilities,
    gains_of,
    silero,
    speech_probabilities,
)
from tests.samples import at_level, knock, pcm_of

SECOND = SAMPLE_RATE_HZ
LOUD = 0.2


class LevelDetector:
    """Hears speech in every frame that is louder than a limit, and remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Pcm] = []

    def __call__(self, pcm: Pcm) -> Probabilities:
        """1 for loud frames, else 0."""
        self.heard.append(pcm.copy())
        frames = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
        found: Probabilities = (np.abs(frames).max(axis=1) > 0.05).astype(np.float32)  # a fake's limit
        return found


def flat(level: float, seconds: float) -> Pcm:
    """A square wave of this level."""
    n_samples = round(seconds * SECOND)
    return np.where(np.arange(n_samples) // 40 % 2, level, -level).astype(np.float32)


def share(found: Probabilities, at_least: float = 0.3) -> float:
    """Share of the frames that are speech."""
    return float((found >= at_least).mean())


def test_silero_gives_one_probability_for_each_frame() -> None:
    """Also for the incomplete last one; nothing for no audio."""
    assert silero(np.zeros(3 * FRAME_SAMPLES, np.float32)).shape == (3,)
    assert silero(np.zeros(3 * FRAME_SAMPLES + 1, np.float32)).shape == (4,)
    assert speech_probabilities(np.zeros(0, np.float32)).shape == (0,)
    assert FRAMES_PER_SECOND * FRAME_SAMPLES == SECOND


def test_silero_in_blocks_gives_the_numbers_of_one_call() -> None:
    """Equal to the last bit to faster-whisper's own call, also when the last frame is complete."""
    pcm = pcm_of("en-12.wav")
    for n_frames in (1, NETWORK_FRAMES, NETWORK_FRAMES + 1, 2 * NETWORK_FRAMES + 7):
        piece = np.resize(pcm, n_frames * FRAME_SAMPLES).astype(np.float32)
        assert np.array_equal(silero(piece), get_vad_model()(piece.copy()).reshape(-1))


def test_silence_and_noise_hold_no_speech() -> None:
    """Eight seconds of silence and of noise have no frame that begins speech, also when they are raised."""
    assert share(speech_probabilities(pcm_of("silence.wav"))) == 0.0
    assert share(speech_probabilities(pcm_of("noise.wav"))) == 0.0


def test_audio_that_the_detector_accepts_is_judged_once() -> None:
    """Loud speech costs one call."""
    detector = LevelDetector()
    assert share(speech_probabilities(flat(LOUD, 4.0), detector)) == 1.0
    assert len(detector.heard) == 1


def test_what_cannot_be_raised_is_judged_once() -> None:
    """Digital silence, and audio that is loud enough although it was rejected, are not judged again."""
    silent, rejecting = LevelDetector(), Rejecting()
    assert share(speech_probabilities(np.zeros(4 * SECOND, np.float32), silent)) == 0.0
    assert len(silent.heard) == 1
    speech_probabilities(flat(LOUD, 4.0), rejecting)
    assert rejecting.n_calls == 1


def test_only_the_rejected_stretch_is_judged_again() -> None:
    """Ten loud seconds, ten quiet ones: the second call hears the quiet ones, raised, and a second of context."""
    detector = LevelDetector()
    found = speech_probabilities(np.concatenate([flat(LOUD, 10.0), flat(0.01, 10.0)]), detector)
    assert share(found) > 0.95
    _, again = detector.heard
    assert 10 * SECOND <= len(again) <= 11.5 * SECOND
    assert np.abs(again[-SECOND:]).max() > 0.06


def test_the_larger_probability_counts() -> None:
    """A second look never takes speech away."""
    detector = Fading()
    found = speech_probabilities(flat(0.01, 4.0), detector)
    assert detector.n_calls == 2
    np.testing.assert_array_equal(found, np.full(len(found), 0.25, np.float32))


def test_gains_are_bounded_and_zero_for_silence() -> None:
    """1 for a near voice, at most 30, 0 below -80 dBFS: nothing is made of rounding noise."""
    gains = gains_of(np.concatenate([flat(LOUD, 3.0), flat(0.02, 3.0), flat(0.001, 3.0), flat(0.00005, 3.0)]))
    middle = [gains[int(second * FRAMES_PER_SECOND)] for second in (1.5, 4.5, 7.5, 10.5)]
    np.testing.assert_allclose(middle, [1.0, 3.5, 30.0, 0.0], rtol=0.01)


def test_a_knock_does_not_hide_quiet_speech() -> None:
    """A sentence at -40 and at -70 dBFS on both sides of a loud knock: as much speech as at its usual level."""
    voice = pcm_of("en-12.wav")
    usual = share(silero(voice))
    for level_db in (-40, -70):
        quiet = at_level(voice, level_db)
        found = speech_probabilities(np.concatenate([quiet, knock(), quiet]))
        n_frames = len(quiet) // FRAME_SAMPLES
        assert min(share(found[:n_frames]), share(found[-n_frames:])) > usual - 0.1, level_db


def test_quiet_speech_needs_the_second_look() -> None:
    """At -70 dBFS Silero alone hears nothing of the same sentence."""
    assert share(silero(at_level(pcm_of("en-12.wav"), -70))) < 0.1


class Rejecting:
    """Hears no speech; counts its calls."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self, pcm: Pcm) -> Probabilities:
        """Zeros."""
        self.n_calls += 1
        return np.zeros(-(-len(pcm) // FRAME_SAMPLES), np.float32)


class Fading(Rejecting):
    """Hears less each time."""

    def __call__(self, pcm: Pcm) -> Probabilities:
        """A quarter, then zeros."""
        return super().__call__(pcm) + np.float32(0.25 if self.n_calls == 1 else 0.0)
