"""Cut speech into windows, and map times of a window to times of the upload. Pure.

A window is the audio of one model call: at most 30 s (less for models that set a limit). Cuts fall in
pauses. Pauses longer than `keep_gap_samples` are left out, so a window may consist of several pieces of
the upload; `Window.source_s` maps its times back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ, Pcm

# Unbroken speech is cut at the quietest 30 ms: shorter than a vowel, longer than one period of a deep voice.
QUIET_FRAME_SAMPLES = SAMPLE_RATE_HZ * 30 // 1000
# A window that is full ends at the longest pause of its last part, which begins here.
LEAST_FILL = 0.5


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """A stretch of the upload in samples, stop excluded.

    Attributes:
        pause: samples of silence around its start; 0 where speech goes on without a pause.
    """

    start: int
    stop: int
    pause: int = 0

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Scanned:
    """VAD has processed the upload up to `stop`, in samples."""

    stop: int

    @property
    def stop_s(self) -> float:
        """The same in seconds of the upload."""
        return self.stop / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Window:
    """The audio of one model call: pieces of the upload, one after the other."""

    pieces: tuple[SpeechSpan, ...]

    @property
    def n_samples(self) -> int:
        """Length of all pieces together."""
        return sum(len(piece) for piece in self.pieces)

    @property
    def start_s(self) -> float:
        """Where the window begins, in seconds of the upload."""
        return self.pieces[0].start / SAMPLE_RATE_HZ

    @property
    def stop_s(self) -> float:
        """Where the window ends, in seconds of the upload."""
        return self.pieces[-1].stop / SAMPLE_RATE_HZ

    def cut(self, pcm: Pcm) -> Pcm:
        """The window's samples, [n_samples] float32."""
        if len(self.pieces) == 1:
            return pcm[self.pieces[0].start : self.pieces[0].stop]
        return np.concatenate([pcm[piece.start : piece.stop] for piece in self.pieces])

    def source_s(self, window_s: float, *, is_end: bool = False) -> float:
        """The time in the upload of `window_s` in the window.

        At the seam of two pieces an end belongs to the earlier piece and a start to the later one.
        """
        offset = window_s * SAMPLE_RATE_HZ
        passed = 0
        for piece in self.pieces:
            inside = offset - passed
            # half a sample of slack: times come rounded to whole hundredths of a second
            if inside < len(piece) - 0.5 or (is_end and inside <= len(piece) + 0.5):
                return (piece.start + max(inside, 0.0)) / SAMPLE_RATE_HZ
            passed += len(piece)
        return self.stop_s


@overload
def pack_windows(
    spans: Iterable[SpeechSpan], pcm: Pcm, *, max_samples: int, keep_gap_samples: int
) -> Iterator[Window]: ...
@overload
def pack_windows(
    spans: Iterable[SpeechSpan | Scanned], pcm: Pcm, *, max_samples: int, keep_gap_samples: int
) -> Iterator[Window | Scanned]: ...
def pack_windows(
    spans: Iterable[SpeechSpan | Scanned], pcm: Pcm, *, max_samples: int, keep_gap_samples: int
) -> Iterator[Window | Scanned]:
    """Pack speech into windows of at most `max_samples`, in order, none lost and none doubled.

    Args:
        spans: where speech is, ascending and apart; consumed lazily. A `Scanned` among them is passed on,
            moved back to the start of the window that is not full yet.
        pcm: [n_samples] float32, only read where a span is too long and must be cut.
        max_samples: length of the longest window.
        keep_gap_samples: a pause up to this long stays in the window as it is.
    """
    waiting: list[SpeechSpan] = []
    for span in spans:
        if isinstance(span, Scanned):
            yield Scanned(waiting[0].start) if waiting else span
            continue
        for part in split(span, pcm, max_samples=max_samples):
            while waiting and _packed(_pieces([*waiting, part], keep_gap_samples)) > max_samples:
                n_spans = _best_cut(waiting, part, keep_gap_samples, max_samples)
                yield Window(tuple(_pieces(waiting[:n_spans], keep_gap_samples)))
                del waiting[:n_spans]
            waiting.append(part)
    if waiting:
        yield Window(tuple(_pieces(waiting, keep_gap_samples)))


def _pieces(spans: Sequence[SpeechSpan], keep_gap_samples: int) -> list[SpeechSpan]:
    """The spans with the short pauses between them."""
    pieces = [SpeechSpan(spans[0].start, spans[0].stop)]
    for span in spans[1:]:
        if span.start - pieces[-1].stop <= keep_gap_samples:
            pieces[-1] = SpeechSpan(pieces[-1].start, span.stop)
        else:
            pieces.append(SpeechSpan(span.start, span.stop))
    return pieces


def _packed(pieces: Sequence[SpeechSpan]) -> int:
    return sum(len(piece) for piece in pieces)


def _best_cut(waiting: Sequence[SpeechSpan], part: SpeechSpan, keep_gap_samples: int, max_samples: int) -> int:
    """How many of the waiting spans make the window: up to the longest pause of its last part."""
    following = [*waiting[1:], part]
    best = len(waiting)
    for n_spans in range(len(waiting), 0, -1):
        if _packed(_pieces(waiting[:n_spans], keep_gap_samples)) < max_samples * LEAST_FILL:
            break
        if following[n_spans - 1].pause > following[best - 1].pause:
            best = n_spans
    return best


def split(span: SpeechSpan, pcm: Pcm, *, max_samples: int) -> Iterator[SpeechSpan]:
    """Cut a span that is too long at the quietest place of the last third of each window."""
    start, pause = span.start, span.pause
    while span.stop - start > max_samples:
        earliest = start + max_samples * 2 // 3
        cut = quietest(pcm[earliest : start + max_samples]) + earliest
        yield SpeechSpan(start, cut, pause=pause)
        start, pause = cut, 0
    yield SpeechSpan(start, span.stop, pause=pause)


def quietest(pcm: Pcm) -> int:
    """Index of the middle of the quietest 30 ms of [n_samples] float32."""
    n_frames = len(pcm) // QUIET_FRAME_SAMPLES
    if n_frames == 0:
        return len(pcm) // 2
    frames = pcm[: n_frames * QUIET_FRAME_SAMPLES].reshape(n_frames, QUIET_FRAME_SAMPLES)
    energy = np.einsum("ij,ij->i", frames, frames)  # [n_frames]
    # the last of equally quiet frames: the longest window
    frame = n_frames - 1 - int(np.argmin(energy[::-1]))
    return frame * QUIET_FRAME_SAMPLES + QUIET_FRAME_SAMPLES // 2
