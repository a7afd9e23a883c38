from __future__ import annotations

import itertools

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ
from app.engine.windows import Scanned, SpeechSpan, Window, pack_windows, quietest, split

SECOND = SAMPLE_RATE_HZ


def covered(windows: list[Window]) -> list[SpeechSpan]:
    """Every piece of every window, in order."""
    return [piece for window in windows for piece in window.pieces]


def test_speech_close_together_shares_a_window() -> None:
    """Two spans with a short pause between them become one piece that holds the pause."""
    pcm = np.zeros(10 * SECOND, np.float32)
    spans = [SpeechSpan(0, 2 * SECOND), SpeechSpan(3 * SECOND, 5 * SECOND)]
    windows = list(pack_windows(spans, pcm, max_samples=30 * SECOND, keep_gap_samples=2 * SECOND))
    assert [Window((SpeechSpan(0, 5 * SECOND),))] == windows


def test_a_long_pause_is_left_out_of_the_window() -> None:
    """A pause over the limit separates two pieces of one window."""
    pcm = np.zeros(60 * SECOND, np.float32)
    spans = [SpeechSpan(0, 2 * SECOND), SpeechSpan(50 * SECOND, 55 * SECOND)]
    windows = list(pack_windows(spans, pcm, max_samples=30 * SECOND, keep_gap_samples=2 * SECOND))
    assert [Window((SpeechSpan(0, 2 * SECOND), SpeechSpan(50 * SECOND, 55 * SECOND)))] == windows
    assert 7 * SECOND == windows[0].n_samples == len(windows[0].cut(pcm))


def test_windows_never_exceed_the_limit_and_lose_nothing() -> None:
    """Random speech: every sample of every span is in exactly one window, in order, none too long."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        edges = np.sort(rng.choice(200 * SECOND, size=2 * rng.integers(1, 20), replace=False))
        spans = [SpeechSpan(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
        pcm = rng.standard_normal(200 * SECOND).astype(np.float32)
        windows = list(pack_windows(spans, pcm, max_samples=10 * SECOND, keep_gap_samples=SECOND))
        assert all(0 < window.n_samples <= 10 * SECOND for window in windows)
        pieces = covered(windows)
        assert all(a.stop <= b.start for a, b in itertools.pairwise(pieces))
        n_windows = np.zeros(len(pcm), np.int8)
        for piece in pieces:
            n_windows[piece.start : piece.stop] += 1
        assert all(n_windows[span.start : span.stop].all() for span in spans)
        assert n_windows.max() == 1


def test_the_progress_of_the_search_ends_where_speech_waits() -> None:
    """What was searched without a result is passed on; once a window has begun, only up to its start."""
    pcm = np.zeros(60 * SECOND, np.float32)
    spans: list[SpeechSpan | Scanned] = [
        Scanned(10 * SECOND),
        SpeechSpan(12 * SECOND, 15 * SECOND),
        Scanned(20 * SECOND),
    ]
    found = list(pack_windows(spans, pcm, max_samples=30 * SECOND, keep_gap_samples=2 * SECOND))
    assert found == [Scanned(10 * SECOND), Scanned(12 * SECOND), Window((SpeechSpan(12 * SECOND, 15 * SECOND),))]
    assert Scanned(12 * SECOND).stop_s == 12.0


def test_a_long_span_is_cut_where_it_is_quietest() -> None:
    """Unbroken sound with one quiet place in the last third of the window is cut in that place."""
    pcm = np.sin(np.arange(25 * SECOND) * 0.1).astype(np.float32)
    pcm[8 * SECOND : 8 * SECOND + 2000] = 0
    parts = list(split(SpeechSpan(0, len(pcm)), pcm, max_samples=10 * SECOND))
    assert 8 * SECOND <= parts[0].stop <= 8 * SECOND + 2000
    assert len(pcm) == parts[-1].stop
    assert all(len(part) <= 10 * SECOND for part in parts)


def test_among_equally_quiet_places_the_last_is_taken() -> None:
    """Silence is cut as late as possible, so that windows stay long."""
    assert quietest(np.zeros(SECOND, np.float32)) > SECOND * 0.95


def test_times_of_a_window_become_times_of_the_upload() -> None:
    """A time behind a left-out pause is shifted by that pause; the seam belongs to both sides."""
    window = Window((SpeechSpan(SECOND, 3 * SECOND), SpeechSpan(50 * SECOND, 55 * SECOND)))
    assert window.source_s(0.5) == 1.5
    assert window.source_s(2.0) == 50.0
    assert window.source_s(2.0, is_end=True) == 3.0
    assert window.source_s(3.0) == 51.0
    assert window.source_s(7.0, is_end=True) == 55.0
    assert window.source_s(99.0) == 55.0


def test_a_full_window_ends_at_the_longest_pause_of_its_second_half() -> None:
    """Not at the last one, where a window might begin a moment before a word."""
    pcm = np.zeros(60 * SECOND, np.float32)
    edges = [0, 6, 9, 13, 18, 24, 29, 35]
    pauses = [0.0, 3.0, 0.2, 0.2, 0.9, 0.3, 0.2]
    spans = [
        SpeechSpan(a * SECOND, b * SECOND, pause=round(pause_s * SECOND))
        for (a, b), pause_s in zip(itertools.pairwise(edges), pauses, strict=True)
    ]
    windows = list(pack_windows(spans, pcm, max_samples=30 * SECOND, keep_gap_samples=2 * SECOND))
    assert windows == [Window((SpeechSpan(0, 18 * SECOND),)), Window((SpeechSpan(18 * SECOND, 35 * SECOND),))]


def test_of_equal_pauses_the_last_one_ends_the_window() -> None:
    """Windows are as long as they can be."""
    pcm = np.zeros(60 * SECOND, np.float32)
    spans = [SpeechSpan(n * 5 * SECOND, (n + 1) * 5 * SECOND, pause=SECOND) for n in range(8)]
    windows = list(pack_windows(spans, pcm, max_samples=30 * SECOND, keep_gap_samples=2 * SECOND))
    assert windows[0] == Window((SpeechSpan(0, 30 * SECOND),))
