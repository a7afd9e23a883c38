"""The probability of speech in each 32 ms of audio: Silero VAD, on the audio as it is and on quiet parts made louder.

Silero gives quiet speech (-40 dBFS) a probability of zero when something loud was heard before. So stretches that
it rejects are raised to the level of a near voice and judged again; the larger probability counts.
Source: faster-whisper's `vad` module (Silero v6, ONNX, one thread, the GIL released).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import onnxruntime
from faster_whisper.vad import get_vad_model

from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.engine.windows import SpeechSpan

Probabilities = npt.NDArray[np.float32]
Detector = Callable[[Pcm], Probabilities]

# Silero judges frames of this length.
FRAME_SAMPLES = 512
FRAMES_PER_SECOND = SAMPLE_RATE_HZ / FRAME_SAMPLES
# The network hears the end of the frame before, and takes so many frames in one call: 8 s of audio. One call for
# everything gives the same numbers, is no faster, and needs more memory: 6 MB for 30 s, 30 MB for two minutes.
NETWORK_CONTEXT_SAMPLES = 64
NETWORK_FRAMES = 256
NETWORK_STATE = 128
# The level of a near voice, -23 dBFS, and the most that quiet audio is raised, 30 dB.
TARGET_RMS = 0.07
MAX_GAIN = 30.0
# The level is that of a second: longer than a word, shorter than a sentence.
LEVEL_FRAMES = 32
# From this probability on a frame is speech.
SPEECH = 0.3
# A stretch is judged again if its frames are below SPEECH for half a second, and its level is not far below hearing.
MIN_REJECTED_FRAMES = 16
MIN_RMS = 1e-4
MIN_GAIN = 1.5
# The detector hears this much before and after a stretch that it judges again.
CONTEXT_FRAMES = 32

# onnxruntime has a telemetry client. Nothing about the audio leaves this machine.
onnxruntime.disable_telemetry_events()


def silero(pcm: Pcm) -> Probabilities:
    """Silero's probability of speech.

    Args:
        pcm: [n_samples] float32, 16 kHz mono.

    Returns:
        [n_frames], one for each FRAME_SAMPLES; the last frame may be incomplete.
    """
    session = get_vad_model().session
    padded = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))
    padded[-NETWORK_CONTEXT_SAMPLES:] = 0.0  # faster-whisper's `SileroVADModel` does so, and the numbers are its own
    frames = padded.reshape(-1, FRAME_SAMPLES)
    context = np.zeros((1, NETWORK_CONTEXT_SAMPLES), np.float32)
    hidden = cell = np.zeros((1, 1, NETWORK_STATE), np.float32)
    found: list[Probabilities] = []
    for first in range(0, len(frames), NETWORK_FRAMES):
        block = frames[first : first + NETWORK_FRAMES]
        before = np.concatenate([context, block[:-1, -NETWORK_CONTEXT_SAMPLES:]])
        heard = np.concatenate([before, block], axis=1)  # [n_frames, 64 + 512]
        probabilities, hidden, cell = session.run(None, {"input": heard, "h": hidden, "c": cell})
        found.append(probabilities.reshape(-1))
        context = block[-1:, -NETWORK_CONTEXT_SAMPLES:]
    return np.concatenate(found)


def speech_probabilities(pcm: Pcm, detect: Detector = silero) -> Probabilities:
    """The larger of the detector's probabilities on the audio as it is and with its quiet parts raised.

    Args:
        pcm: [n_samples] float32, 16 kHz mono.
        detect: gives [n_samples] their probabilities, one for each FRAME_SAMPLES.

    Returns:
        [n_frames] float32, 0..1.
    """
    if not len(pcm):
        return np.zeros(0, np.float32)
    found = detect(pcm)
    gains = gains_of(pcm)
    for stretch in _rejected(found, gains):
        before = max(stretch.start - CONTEXT_FRAMES, 0)
        after = min(stretch.stop + CONTEXT_FRAMES, len(found))
        louder = _raised(pcm[before * FRAME_SAMPLES : after * FRAME_SAMPLES], gains[before:after])
        again = detect(louder)
        found[before:after] = np.maximum(found[before:after], again)
    return found


def gains_of(pcm: Pcm) -> Probabilities:
    """What raises each frame to the level of a near voice, [n_frames]: 1 for loud audio, 0 for silence."""
    padded = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    energy = np.einsum("ij,ij->i", padded, padded) / FRAME_SAMPLES  # [n_frames]
    half = LEVEL_FRAMES // 2
    total = np.cumsum(np.pad(energy, (half + 1, half), mode="edge"), dtype=np.float64)
    rms = np.sqrt((total[LEVEL_FRAMES:] - total[:-LEVEL_FRAMES]) / LEVEL_FRAMES)[: len(energy)]
    gains: Probabilities = np.clip(TARGET_RMS / np.maximum(rms, 1e-9), 1.0, MAX_GAIN).astype(np.float32)
    gains[rms < MIN_RMS] = 0.0
    return gains


def _rejected(found: Probabilities, gains: Probabilities) -> Iterator[SpeechSpan]:
    """Stretches of frames without speech that are worth a second look."""
    quiet = (found < SPEECH) & (gains != 0.0)
    edges = np.flatnonzero(np.diff(np.pad(quiet.astype(np.int8), 1)))
    merged: list[SpeechSpan] = []
    for start, stop in edges.reshape(-1, 2).tolist():
        if stop - start < MIN_REJECTED_FRAMES or gains[start:stop].max() < MIN_GAIN:
            continue
        if merged and start - merged[-1].stop <= 2 * CONTEXT_FRAMES:
            merged[-1] = SpeechSpan(merged[-1].start, stop)
        else:
            merged.append(SpeechSpan(start, stop))
    yield from merged


def _raised(pcm: Pcm, gains: Probabilities) -> Pcm:
    """Each frame with its gain, within [-1, 1]."""
    louder: Pcm = np.clip(pcm * np.repeat(gains, FRAME_SAMPLES)[: len(pcm)], -1.0, 1.0).astype(np.float32)
    return louder
