"""Detect audio that no microphone produces: all zeros, one constant, or one frame repeated. Pure.

A broken bridge between a meeting and the gateway sends such audio, and a Whisper model invents text
for it. It keeps its place on the time axis, is never sent, and is reported. Real sound never repeats
bit for bit: even in a quiet room the lowest bits change. Only a held tone does, and is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ, Pcm16

FROZEN_AFTER_SAMPLES = SAMPLE_RATE_HZ  # a whole second of exact repetition
REPORT_AFTER_SAMPLES = 5 * SAMPLE_RATE_HZ  # a muted microphone may send zeros for a while

TONE_SAMPLES = 4096  # enough to recognise a tone; transforming a whole large frame would delay every stream
TONE_BINS = 3  # a Hann window spreads one frequency over this many neighbours
TONE_SHARE = 0.95

Kind = Literal["zeros", "constant", "repeated"]


@dataclass(frozen=True, slots=True)
class DeadAudioRun:
    """Samples [start, end) are dead; `report` is set once per run, after some seconds."""

    kind: Kind
    start: int
    end: int
    report: bool


class DeadAudioDetector:
    """Examines the frames of one stream as they arrive."""

    def __init__(self) -> None:
        self._last = np.zeros(0, dtype=np.int16)
        self._kind: Kind | None = None
        self._start = 0
        self._reported = False

    def feed(self, pcm: Pcm16, start: int) -> DeadAudioRun | None:
        """Examine one client frame, [n] int16, whose first sample has the number `start`.

        Returns:
            The run the frame belongs to, from its first dead sample on; None if the frame is not dead.
        """
        if not len(pcm):
            return None
        kind = self._classify(pcm)
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

    def _classify(self, pcm: Pcm16) -> Kind | None:
        if not pcm.any():
            return "zeros"
        if (pcm == pcm[0]).all() and len(pcm) > 1:
            return "constant"
        return "repeated" if np.array_equal(pcm, self._last) and not is_tone(pcm) else None


def is_tone(pcm: Pcm16) -> bool:
    """Is nearly all energy of [n] int16 at one frequency? A held tone may repeat bit for bit without a fault."""
    pcm = pcm[:TONE_SAMPLES]
    power = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2  # [m / 2 + 1], m = min(n, TONE_SAMPLES)
    peak = int(power.argmax())
    lobe = power[max(0, peak - TONE_BINS) : peak + TONE_BINS + 1]
    return bool(lobe.sum() > TONE_SHARE * power.sum())
