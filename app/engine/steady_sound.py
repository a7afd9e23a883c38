"""Recognise windows of silence, hum, tones and hiss, from which Whisper invents text. Pure.

Speech changes its level several times a second, in every frequency band. Silence, mains hum, tones and
steady noise do not. So a window is steady if the level of no band moves more than that of random noise
would. Real Whisper models answer "You" or "Thank you." to such windows; voice activity detection finds
them too, but a request can switch it off.

Measured on 106 recordings with speech (97 of people: quiet, far, whispered, telephone) and pieces of 1 to
30 s of them: the score of clean speech is at least 60 times that of the loudest movement of noise. Speech
of 2 s and more is kept at least down to 0 dB of white or pink noise. Music, clicks and speech-like noise are
not steady: they reach the model as before.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from app.core.pcm import SAMPLE_RATE_HZ, Pcm

FRAME_SAMPLES = 512  # 32 ms
HOP_SAMPLES = FRAME_SAMPLES // 2
# Spectra in memory at once: 4 s.
BLOCK_FRAMES = 256
# A level is the mean of so many frames, a tenth of a second: shorter than a syllable.
LEVEL_FRAMES = 6
EDGES_HZ = (60, 300, 700, 1500, 2500, 4000, 7600)
EDGES = tuple(round(edge_hz * FRAME_SAMPLES / SAMPLE_RATE_HZ) for edge_hz in EDGES_HZ)
HANN = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)
# Below -99 dBFS in a band, or 60 dB under the loudest moment, there is rounding and leakage of other bands.
LEAST_POWER = 1e-10 * (FRAME_SAMPLES / 2) ** 2
LEAST_SHARE = 1e-6
# Two steps of 16 bit: dither, but no sound. At least an eighth of a second of it divides two sounds.
DIGITAL_SILENCE = 2 / 32768
SILENT_BLOCKS = 4
# Fewer levels than this (three quarters of a second) are too few to judge.
MIN_LEVELS = 8
# In units of what random noise of the band does: its highest level (observed in noise: up to 5.8), and the mean
# square of all (observed: up to 2.7).
MAX_PEAK = 6.0
MAX_MEAN_SQUARE = 3.0
# Speech in loud noise can look steady for a moment, so stricter thresholds apply below 2 s.
SHORT_S = 2.0
SHORT_FACTOR = 0.25


def is_steady(pcm: Pcm) -> bool:
    """Whether a window holds silence or one steady sound, and so no speech.

    Args:
        pcm: [n_samples] float32, 16 kHz mono.
    """
    stretches = list(_sounding(pcm))
    if all(_is_steady_stretch(stretch) for stretch in stretches):
        return True
    # hiss as quiet as dither falls apart into stretches; as a whole it is steady
    undivided = len(stretches) == 1 and len(stretches[0]) == len(pcm)
    return not undivided and _is_steady_stretch(pcm)


def _is_steady_stretch(pcm: Pcm) -> bool:
    """The same for a stretch without silence in it."""
    levels = _levels(pcm)
    if len(levels) < MIN_LEVELS:
        return False
    least = max(float(levels.max(axis=0).sum()) * LEAST_SHARE, LEAST_POWER)
    usual = np.maximum(np.median(levels, axis=0), least)  # [n_bands]
    n_bins = np.diff(EDGES)
    # the mean power of noise over `n_bins` and LEVEL_FRAMES has this relative deviation
    deviation = np.sqrt(FRAME_SAMPLES / (n_bins * LEVEL_FRAMES * HOP_SAMPLES))
    movement = (np.maximum(levels, least) / usual - 1) / deviation  # [n_levels, n_bands]
    factor = 1.0 if len(pcm) >= SHORT_S * SAMPLE_RATE_HZ else SHORT_FACTOR
    if movement.max() > factor * MAX_PEAK:
        return False
    return bool((movement**2).mean(axis=0).max() <= factor * MAX_MEAN_SQUARE)


def _sounding(pcm: Pcm) -> Iterator[Pcm]:
    """Split at digital silence, so that a tone that starts within the window is judged from its start.

    The blocks in which a sound starts and stops are left out: they hold only a part of it.
    """
    n_blocks = -(-len(pcm) // FRAME_SAMPLES)
    blocks = np.zeros(n_blocks * FRAME_SAMPLES, np.float32)
    blocks[: len(pcm)] = np.abs(pcm)
    loud = np.flatnonzero(blocks.reshape(n_blocks, FRAME_SAMPLES).max(axis=1) > DIGITAL_SILENCE)
    for run in np.split(loud, np.flatnonzero(np.diff(loud) > SILENT_BLOCKS) + 1):
        if run.size:
            first = int(run[0]) + (run[0] > 0)
            stop = int(run[-1]) + (run[-1] == n_blocks - 1)
            yield pcm[first * FRAME_SAMPLES : max(stop, first) * FRAME_SAMPLES]


def _levels(pcm: Pcm) -> npt.NDArray[np.float32]:
    """Power of each band in each tenth of a second, [n_levels, n_bands]."""
    if len(pcm) < FRAME_SAMPLES:
        return np.zeros((0, len(EDGES) - 1), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(pcm, FRAME_SAMPLES)[::HOP_SAMPLES]
    # in blocks: the spectra of 30 s at once need 20 MB
    bands = np.concatenate(
        [_bands(frames[first : first + BLOCK_FRAMES]) for first in range(0, len(frames), BLOCK_FRAMES)]
    )  # [n_frames, n_bands]
    n_levels = len(bands) // LEVEL_FRAMES
    shaped = bands[: n_levels * LEVEL_FRAMES].reshape(n_levels, LEVEL_FRAMES, bands.shape[1])
    levels: npt.NDArray[np.float32] = shaped.mean(axis=1)
    return levels


def _bands(frames: Pcm) -> npt.NDArray[np.float32]:
    """Power of each band in each frame, [n_frames, n_bands]; `frames`: [n_frames, FRAME_SAMPLES]."""
    spectrum = np.fft.rfft(frames * HANN, axis=1)  # [n_frames, n_bins]
    power = spectrum.real**2 + spectrum.imag**2
    bands: npt.NDArray[np.float32] = np.add.reduceat(power[:, : EDGES[-1]], EDGES[:-1], axis=1)
    return bands
