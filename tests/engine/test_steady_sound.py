from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.engine.steady_sound import is_steady
from tests.samples import pcm_of, samples

SECOND = SAMPLE_RATE_HZ
SPOKEN = [clip.file for clip in samples() if clip.text]


def clock(seconds: float) -> Pcm:
    """Times in seconds, one for each sample."""
    return (np.arange(int(seconds * SECOND)) / SECOND).astype(np.float32)


def tone(hz: float, seconds: float, amplitude: float) -> Pcm:
    """One frequency."""
    at_s = np.arange(int(seconds * SECOND)) / SECOND
    return np.asarray(amplitude * np.sin(2 * np.pi * hz * at_s), np.float32)


def hum(hz: float, seconds: float, amplitude: float) -> Pcm:
    """A frequency and ten harmonics."""
    return sum((tone(hz * n, seconds, amplitude / n) for n in range(1, 12)), np.zeros(1, np.float32))


def hiss(seconds: float, amplitude: float, *, pink: bool = False, seed: int = 0) -> Pcm:
    """White noise, or pink noise."""
    noise = np.random.default_rng(seed).standard_normal(int(seconds * SECOND))
    if pink:
        spectrum = np.fft.rfft(noise)
        noise = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1.0), len(noise))
    return np.asarray(amplitude * noise / noise.std(), np.float32)


def as_16_bit(pcm: Pcm) -> Pcm:
    """Rounded like a wav file."""
    return np.asarray(np.round(np.clip(pcm, -1, 1) * 32767) / 32768, np.float32)


@pytest.mark.parametrize("seconds", [0.01, 0.1, 1.0, 30.0])
def test_digital_silence_is_steady(seconds: float) -> None:
    """Zeros of any length."""
    assert is_steady(np.zeros(int(seconds * SECOND), np.float32))


@pytest.mark.parametrize("seconds", [1.0, 2.0, 5.0, 30.0])
@pytest.mark.parametrize("amplitude", [0.3, 0.01, 0.001])
def test_hum_and_tones_are_steady(seconds: float, amplitude: float) -> None:
    """Mains hum of 50, 60, 100 and 120 Hz with its harmonics, and single tones, loud and quiet, and a constant."""
    # harmonics of 60 Hz beat within a tenth of a second: a short window of them is not clear enough
    for hz in (50, 60, 100, 120) if seconds >= 2 else (50, 100):
        assert is_steady(as_16_bit(hum(hz, seconds, amplitude))), hz
    for hz in (50, 100, 350, 440, 1000, 3000, 7000):
        assert is_steady(as_16_bit(tone(hz, seconds, amplitude))), hz
    assert is_steady(np.full(int(seconds * SECOND), amplitude, np.float32))


@pytest.mark.parametrize("seconds", [2.0, 5.0, 30.0])
@pytest.mark.parametrize("amplitude", [0.1, 0.003, 0.00003])
def test_hiss_is_steady_alone_and_with_hum(seconds: float, amplitude: float) -> None:
    """White and pink noise of two seconds and more, down to the last bits of 16."""
    for seed in range(5):
        for pink in (False, True):
            noise = hiss(seconds, amplitude, pink=pink, seed=seed)
            assert is_steady(as_16_bit(noise))
            assert is_steady(as_16_bit(noise + hum(50, seconds, 0.05)))


@pytest.mark.parametrize("gain", [1.0, 0.1, 0.01])
def test_no_window_of_speech_is_steady(gain: float) -> None:
    """Every clip, whole and in pieces of one to eight seconds that are not silent, loud and very quiet."""
    for file in SPOKEN:
        pcm = as_16_bit(gain * pcm_of(file))
        assert not is_steady(pcm), file
        for piece in loud_pieces(pcm, at_least=0.02 * gain):
            assert not is_steady(piece), file


@pytest.mark.parametrize("pink", [False, True])
@pytest.mark.parametrize("snr_db", [20, 10, 5, 0])
def test_no_window_of_speech_in_noise_is_steady(snr_db: int, *, pink: bool) -> None:
    """Speech in white and pink noise that is as loud as itself, and of hum that is a hundred times stronger."""
    for file in SPOKEN:
        pcm = pcm_of(file)
        loud = np.abs(pcm) > 0.02
        noise = hiss(len(pcm) / SECOND, float(pcm[loud].std()) * 10 ** (-snr_db / 20), pink=pink)[: len(pcm)]
        assert not is_steady(pcm + noise), file
        assert not is_steady(pcm + hum(50, len(pcm) / SECOND + 1, 3.0)[: len(pcm)]), file


def test_a_long_window_needs_little_memory() -> None:
    """Half a minute, 1.9 MB of samples, is judged in less than 12 MB; eight requests may do so at once."""
    noise = hiss(30.0, 0.003)
    tracemalloc.start()
    try:
        assert is_steady(noise)
        assert tracemalloc.get_traced_memory()[1] < 12e6
    finally:
        tracemalloc.stop()


def test_one_word_in_half_a_minute_of_hiss_is_not_steady() -> None:
    """What counts is the loudest moment, not the average."""
    word = pcm_of("en-00.wav")[: SECOND // 2]
    noise = hiss(30.0, 0.003)
    noise[20 * SECOND : 20 * SECOND + len(word)] += word
    assert not is_steady(noise)


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5])
def test_a_piece_too_short_to_judge_is_not_steady(seconds: float) -> None:
    """A vowel may not move for half a second; only zeros are silence then."""
    assert not is_steady(tone(200, seconds, 0.1))


def test_tones_that_come_and_go_are_not_steady() -> None:
    """Beeps, clicks and music are left to the model."""
    assert not is_steady(tone(440, 5.0, 0.1) * (np.sin(2 * np.pi * 2 * clock(5.0)) > 0))
    click = np.zeros(5 * SECOND, np.float32)
    click[30_000:30_100] = 0.5
    assert not is_steady(click)


def loud_pieces(pcm: Pcm, *, at_least: float) -> list[Pcm]:
    """Pieces of one, two, four and eight seconds in which a tenth of the samples are louder than `at_least`."""
    pieces = [
        pcm[start : start + n_seconds * SECOND]
        for n_seconds in (1, 2, 4, 8)
        for start in range(0, max(1, len(pcm) - n_seconds * SECOND), n_seconds * SECOND // 2)
    ]
    return [piece for piece in pieces if (np.abs(piece) > at_least).mean() > 0.1]


@pytest.mark.parametrize("silence_s", [0.2, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("dither", [0.0, 1 / 32768])
def test_a_tone_that_starts_or_stops_within_the_window_is_steady(silence_s: float, dither: float) -> None:
    """Silence before, after or between hum and tones is no movement of speech."""
    silence = np.sign(hiss(silence_s, 1.0)) * np.float32(dither)
    for sound in (hum(50, 3, 0.1), tone(1000, 3, 0.1), tone(440, 9, 0.01)):
        for window in ([silence, sound], [sound, silence], [sound, silence, sound]):
            assert is_steady(as_16_bit(np.concatenate(window)))


@pytest.mark.parametrize("file", SPOKEN[:8])
def test_speech_between_digital_silence_is_kept(file: str) -> None:
    """A noise gate writes zeros between words; the words are judged by themselves and are not steady."""
    pcm = pcm_of(file)
    zeros = np.zeros(SECOND, np.float32)
    assert not is_steady(np.concatenate([zeros, pcm, zeros]))
    gated = np.where(np.abs(pcm) < 0.01, np.float32(0), pcm)
    assert not is_steady(gated)
