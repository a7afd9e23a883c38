"""Find where speech is from its probabilities, with hysteresis. Nothing but the track's detector blocks.

Speech begins with a frame at the threshold, and ends where the probability stays below a lower threshold for
a pause. So a voice that fades or whispers does not end a span, and noise does not begin one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.core.pcm import SAMPLE_RATE_HZ
from app.engine.speech_track import SpeechTrack
from app.engine.vad import FRAME_SAMPLES, SPEECH
from app.engine.windows import Scanned, SpeechSpan

# Speech goes on while the probability is at most this much below the threshold.
HYSTERESIS = 0.2
LEAST_THRESHOLD = 0.01


@dataclass(frozen=True, slots=True)
class _Block:
    """A block was searched.

    Attributes:
        stop: what lies before is known, in samples.
        open_start: where speech began that has not ended yet; None in silence.
    """

    stop: int
    open_start: int | None


def speech_spans(
    track: SpeechTrack,
    *,
    min_silence_ms: float,
    pad_ms: float,
    threshold: float | None = None,
    keep_edge_samples: int = 0,
) -> Iterator[SpeechSpan | Scanned]:
    """Where speech is, ascending and apart, computed lazily; a `Scanned` after each block but the last.

    Args:
        track: the probabilities of speech.
        min_silence_ms: a shorter pause does not end a span.
        pad_ms: silence kept on both sides, so that no onset is clipped; two spans share a pause that is too short.
        threshold: probability that begins a span; None = 0.3.
        keep_edge_samples: silence up to this long at the beginning and the end of the upload belongs to the speech.
    """
    pad = int(pad_ms * SAMPLE_RATE_HZ / 1000)
    start = ended = 0
    waiting: SpeechSpan | None = None  # without padding behind it
    for found in _runs(track, SPEECH if threshold is None else threshold, min_silence_ms):
        if isinstance(found, SpeechSpan):
            gap = found.start - ended
            if waiting is not None:
                stop = waiting.stop + min(pad, gap // 2)
                yield SpeechSpan(waiting.start, stop, pause=waiting.pause)
                start = max(found.start - pad, stop)
            else:
                start = 0 if ended == 0 and found.start - pad <= keep_edge_samples else max(found.start - pad, start)
            waiting = SpeechSpan(start, found.stop, pause=gap)
            ended = found.stop
            continue
        known = found.stop if found.open_start is None else found.open_start
        if waiting is not None and known - ended > 2 * pad + keep_edge_samples:
            start = waiting.stop + pad
            yield SpeechSpan(waiting.start, start, pause=waiting.pause)
            waiting = None
        if found.stop < track.n_samples:
            yield Scanned(max(start, known - pad) if waiting is None else waiting.start)
    if waiting is not None:
        stop = waiting.stop + pad
        yield SpeechSpan(
            waiting.start, track.n_samples if track.n_samples - stop <= keep_edge_samples else stop, pause=waiting.pause
        )


def all_spans(track: SpeechTrack, *, min_silence_ms: float) -> Iterator[SpeechSpan | Scanned]:
    """The whole upload, cut in the middle of its pauses."""
    begin = pause = 0
    ended: int | None = None
    for found in _runs(track, SPEECH, min_silence_ms):
        if isinstance(found, SpeechSpan):
            if ended is not None:
                middle = (ended + found.start) // 2
                if middle > begin:
                    yield SpeechSpan(begin, middle, pause=pause)
                begin, pause = middle, found.start - ended
            ended = found.stop
        elif found.open_start is None and found.stop > begin:
            yield SpeechSpan(begin, found.stop, pause=pause)
            begin, pause, ended = found.stop, found.stop - (ended or 0), found.stop
    if begin < track.n_samples:
        yield SpeechSpan(begin, track.n_samples, pause=pause)


def _runs(track: SpeechTrack, threshold: float, min_silence_ms: float) -> Iterator[SpeechSpan | _Block]:
    """Speech without padding; a `_Block` after each block. A run over a whole block comes in parts."""
    lower = max(threshold - HYSTERESIS, LEAST_THRESHOLD)
    min_silence = min_silence_ms * SAMPLE_RATE_HZ / 1000
    start: int | None = None
    quiet: int | None = None
    for first, probabilities in track.blocks():
        for number, probability in enumerate(probabilities.tolist(), first):
            position = number * FRAME_SAMPLES
            if probability >= threshold:
                quiet = None
                start = position if start is None else start
            elif start is not None and probability < lower:
                quiet = position if quiet is None else quiet
                if position - quiet >= min_silence:
                    if quiet > start:
                        yield SpeechSpan(start, quiet)
                    start = quiet = None
        stop = min(track.n_known * FRAME_SAMPLES, track.n_samples)
        if start is not None and start <= first * FRAME_SAMPLES and stop < track.n_samples:
            yield SpeechSpan(start, stop)
            start, quiet = stop, None
        yield _Block(stop, start)
    if start is not None:
        yield SpeechSpan(start, track.n_samples if quiet is None else quiet)
