"""Notice audio that no microphone makes: all zeros, one constant, or the same frame over and over.

That is what a broken bridge between a meeting and the gateway sends, and a Whisper asked about it
invents text. Such audio keeps its place on the time axis, is never sent, and is reported. Real
sound never repeats to the last bit: even a quiet room moves the lowest bits. Only a held tone does,
and is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ, Pcm16

FROZEN_AFTER_SAMPLES = SAMPLE_RATE_HZ  # a whole second of exact repetition
REPORT_AFTER_SAMPLES = 5 * SAMPLE_RATE_HZ  # a muted microphone may send zeros for a while

LOOK_AT_SAMPLES = 4096  # enough to know a tone; a transform of a whole large frame may hold up every stream
TONE_BINS = 3  # a Hann window spreads one frequency over this many neighbours
TONE_SHARE = 0.95

Kind = Literal["zeros", "constant", "repeated"]


@dataclass(frozen=True, slots=True)
class DeadAudioRun:
    """Samples [start, end) carry nothing; `report` is set once per run, when it has lasted."""

    kind: Kind
    start: int
    end: int
    report: bool


class DeadAudioDetector:
    """Watches the frames of one stream as they arrive."""

    def __init__(self) -> None:
        self._last = np.zeros(0, dtype=np.int16)
        self._kind: Kind | None = None
        self._start = 0
        self._reported = False

    def feed(self, pcm: Pcm16, start: int) -> DeadAudioRun | None:
        """Look at one client frame, [n] int16, whose first sample is number `start`.

        Returns:
            The run the frame belongs to, from where it became dead; None while the audio lives.
        """
        if not len(pcm):
            return None
        kind = self._judge(pcm)
        if kind != self._kind:
            self._kind, self._start, self._reported = kind, start, False
        self._last = pcm
        end = start + len(pcm)
        length = end - self._start
        if kind is None or (kind != "zeros" and length < FROZEN_AFTER_SAMPLES):
            return None
        report = length >= REPORT_AFTER_SAMPLES and not self._reported
        self._reported = self._reported or report
        return DeadAudioRun(kind, self._start, end, report)

    def _judge(self, pcm: Pcm16) -> Kind | None:
        if not pcm.any():
            return "zeros"
        if (pcm == pcm[0]).all() and len(pcm) > 1:
            return "constant"
        return "repeated" if np.array_equal(pcm, self._last) and not is_tone(pcm) else None


def is_tone(pcm: Pcm16) -> bool:
    """Is nearly all of [n] int16 one frequency? A held tone repeats to the bit, and nothing is broken."""
    pcm = pcm[:LOOK_AT_SAMPLES]
    power = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2  # [m / 2 + 1], m = min(n, LOOK_AT_SAMPLES)
    peak = int(power.argmax())
    lobe = power[max(0, peak - TONE_BINS) : peak + TONE_BINS + 1]
    return bool(lobe.sum() > TONE_SHARE * power.sum())
