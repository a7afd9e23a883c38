"""Find the windows of an upload: voice activity detection, packing, and leaving out what cannot be speech."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator

from app.core.errors import Cancelled
from app.core.options import Options
from app.core.pcm import to_samples
from app.core.transcript import Progress
from app.engine.speech_spans import all_spans, speech_spans
from app.engine.speech_track import SpeechTrack
from app.engine.steady_sound import is_steady
from app.engine.windows import Scanned, Window, pack_windows

# A pause up to this long stays in the window: the model reads sentence ends from it, and misses words at a seam.
KEEP_GAP_S = 3.0
# Silence up to this long stays at both ends of the upload.
KEEP_EDGE_S = 2.0
# A pause this long may end a window (faster-whisper's batched pipeline uses the same).
MIN_SILENCE_MS = 160.0
# Kept on both sides of speech, so that soft onsets and endings are not cut off.
SPEECH_PAD_MS = 400.0
MIN_WINDOW_S = 1.0


def search_windows(
    track: SpeechTrack,
    options: Options,
    *,
    vad_filter: bool,
    max_window_s: float,
    on_skipped: Callable[[], None],
) -> Iterator[Window | Scanned]:
    """The windows that the model has to decode, found lazily.

    Args:
        track: the upload and the probability of speech along it; searched as far as the windows that were given out.
        options: may override the search's defaults.
        vad_filter: leave out audio without speech unless `options` say otherwise.
        max_window_s: length of the model's longest window.
        on_skipped: called for each window that holds silence or one steady sound; it is left out.

    Yields:
        Windows in order; a `Scanned` where the search went on without finding one.
    """
    for found in _packed(track, options, vad_filter=vad_filter, max_window_s=max_window_s):
        if isinstance(found, Window) and is_steady(found.cut(track.pcm)):
            on_skipped()
            yield Scanned(found.pieces[-1].stop)
        else:
            yield found


def next_window(
    windows: Iterator[Window | Scanned], cancelled: Callable[[], bool], total_s: float, *, limit_s: float = math.inf
) -> Generator[Progress, None, Window | None]:
    """Search for the next window; yields Progress for audio without speech, up to `limit_s`.

    Returns:
        None when there is no more.

    Raises:
        Cancelled: `cancelled` returned True.
    """
    for found in windows:
        if cancelled():
            raise Cancelled
        if isinstance(found, Window):
            return found
        yield Progress(done_s=min(found.stop_s, limit_s), total_s=total_s)
    return None


def _packed(
    track: SpeechTrack, options: Options, *, vad_filter: bool, max_window_s: float
) -> Iterator[Window | Scanned]:
    longest_s = min(max_window_s, options.max_speech_duration_s or max_window_s)
    min_silence_ms = MIN_SILENCE_MS if options.min_silence_duration_ms is None else options.min_silence_duration_ms
    if vad_filter if options.vad_filter is None else options.vad_filter:
        spans = speech_spans(
            track,
            min_silence_ms=min_silence_ms,
            pad_ms=SPEECH_PAD_MS if options.speech_pad_ms is None else options.speech_pad_ms,
            threshold=options.vad_threshold,
            keep_edge_samples=to_samples(KEEP_EDGE_S),
        )
    else:
        spans = all_spans(track, min_silence_ms=min_silence_ms)
    return pack_windows(
        spans, track.pcm, max_samples=to_samples(max(longest_s, MIN_WINDOW_S)), keep_gap_samples=to_samples(KEEP_GAP_S)
    )
