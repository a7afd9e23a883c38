"""The probability of speech along one upload, found block by block as the search for windows goes on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.engine.vad import FRAME_SAMPLES, SPEECH, Detector, Probabilities, speech_probabilities

# Two minutes: the detector needs about a fifth of a second for it, and 20 MB of scratch memory.
BLOCK_FRAMES = 120 * SAMPLE_RATE_HZ // FRAME_SAMPLES
# The detector hears so much before each block: it needs some audio to settle.
CONTEXT_FRAMES = 64


class SpeechTrack:
    """Probabilities of one upload; the frames before `n_known` do not change any more.

    Used by one thread. Four bytes for each 32 ms: less than 2 MB for four hours.

    Args:
        pcm: [n_samples] float32, 16 kHz mono.
        detect: gives [n_samples] their probabilities, one for each FRAME_SAMPLES.
        block_frames: frames of one call of the detector.
    """

    def __init__(self, pcm: Pcm, *, detect: Detector = speech_probabilities, block_frames: int = BLOCK_FRAMES) -> None:
        self.pcm = pcm
        self._detect = detect
        self._block_frames = block_frames
        self._probabilities: Probabilities = np.zeros(-(-len(pcm) // FRAME_SAMPLES), np.float32)
        self.n_known = 0

    @property
    def n_samples(self) -> int:
        """Length of the upload."""
        return len(self.pcm)

    @property
    def speech_s(self) -> float:
        """Seconds of speech in what has been searched."""
        return int((self._probabilities[: self.n_known] >= SPEECH).sum()) * FRAME_SAMPLES / SAMPLE_RATE_HZ

    def blocks(self) -> Iterator[tuple[int, Probabilities]]:
        """Search from where the last search ended: the first frame of each block and its probabilities."""
        while self.n_known < len(self._probabilities):
            first = self.n_known
            context = min(first, CONTEXT_FRAMES)
            stop = min(first + self._block_frames, len(self._probabilities))
            heard = self.pcm[(first - context) * FRAME_SAMPLES : stop * FRAME_SAMPLES]
            self._probabilities[first:stop] = self._detect(heard)[context:]
            self.n_known = stop
            yield first, self._probabilities[first:stop]

    def between(self, start_s: float, stop_s: float) -> Probabilities:
        """The known probabilities of the frames that overlap with these seconds of the upload; at least one frame."""
        first = min(max(int(start_s * SAMPLE_RATE_HZ) // FRAME_SAMPLES, 0), max(self.n_known - 1, 0))
        stop = max(-(-int(stop_s * SAMPLE_RATE_HZ) // FRAME_SAMPLES), first + 1)
        return self._probabilities[first : min(stop, max(self.n_known, first + 1))]
