from __future__ import annotations

import numpy as np

from app.core.options import Options
from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.engine.search import search_windows
from app.engine.speech_track import SpeechTrack
from app.engine.vad import FRAME_SAMPLES
from app.engine.windows import Scanned, SpeechSpan, Window
from tests.samples import at_level, knock, pcm_of

SECOND = SAMPLE_RATE_HZ


def windows_of(
    pcm: Pcm, options: Options, *, vad_filter: bool = False, max_window_s: float = 10.0
) -> tuple[list[Window | Scanned], int]:
    """Everything the search finds with windows of 10 s, and how often it skipped one."""
    skipped: list[None] = []
    found = list(
        search_windows(
            SpeechTrack(pcm),
            options,
            vad_filter=vad_filter,
            max_window_s=max_window_s,
            on_skipped=lambda: skipped.append(None),
        )
    )
    return found, len(skipped)


def test_steady_windows_are_left_out_and_counted() -> None:
    """Ten seconds of silence before a sentence: one window is skipped, the other is the sentence."""
    pcm = np.concatenate([np.zeros(10 * SECOND, np.float32), pcm_of("en-00.wav")])
    found, n_skipped = windows_of(pcm, Options())
    *skipped, speech = found
    assert n_skipped == len(skipped) >= 1
    assert all(isinstance(each, Scanned) for each in skipped)
    assert isinstance(speech, Window)
    assert speech.pieces[-1].stop == len(pcm)


def test_the_request_overrides_the_default() -> None:
    """`vad_filter` of the request decides; without detection the window is the whole clip."""
    pcm = np.concatenate([pcm_of("en-00.wav"), np.zeros(5 * SECOND, np.float32)])
    whole, _ = windows_of(pcm, Options(vad_filter=False), vad_filter=True)
    assert whole == [Window((SpeechSpan(0, len(pcm)),))]
    (speech,), _ = windows_of(pcm, Options(vad_filter=True))
    assert isinstance(speech, Window)
    assert speech.n_samples < len(pcm) - 4 * SECOND


def test_windows_are_no_longer_than_the_request_allows() -> None:
    """The shorter of the model's and the request's limit, but a second at least."""
    pcm = pcm_of("long-en.wav")[: 60 * SECOND]
    for asked_s, most_s in ((None, 10.0), (3.0, 3.0), (100.0, 10.0), (0.01, 1.0)):
        found, _ = windows_of(pcm, Options(max_speech_duration_s=asked_s))
        lengths_s = [each.n_samples / SECOND for each in found if isinstance(each, Window)]
        assert most_s * 0.6 < max(lengths_s) <= most_s


def test_quiet_speech_around_a_knock_is_found() -> None:
    """A sentence at -40 and at -70 dBFS on both sides of a loud knock: one window that holds all of it."""
    for level_db in (-40, -70):
        quiet = at_level(pcm_of("en-12.wav"), level_db)
        pcm = np.concatenate([quiet, knock(), quiet])
        found, _ = windows_of(pcm, Options(), vad_filter=True, max_window_s=30.0)
        assert found == [Window((SpeechSpan(0, len(pcm)),))]


def test_short_silence_at_both_ends_stays_in_the_window() -> None:
    """A second of silence may hold a whisper; five seconds do not reach the model."""
    second, voice = np.zeros(SECOND, np.float32), pcm_of("en-00.wav")
    pcm = np.concatenate([second, voice, second])
    found, _ = windows_of(pcm, Options(), vad_filter=True)
    assert found == [Window((SpeechSpan(0, len(pcm)),))]
    (speech,), _ = windows_of(np.concatenate([*[second] * 5, voice, *[second] * 5]), Options(), vad_filter=True)
    assert isinstance(speech, Window)
    assert speech.n_samples < len(voice) + 2 * SECOND


def test_the_request_s_threshold_decides_what_is_speech() -> None:
    """Nothing reaches a threshold of 1, also on raised audio."""
    found, _ = windows_of(pcm_of("en-00.wav"), Options(vad_threshold=1.0), vad_filter=True)
    assert found == []


def test_the_search_knows_the_speech_under_each_window() -> None:
    """With and without detection, probabilities are known up to the end of a window when it is given out."""
    pcm = pcm_of("long-en.wav")
    for vad_filter in (True, False):
        track = SpeechTrack(pcm, block_frames=400)
        for each in search_windows(track, Options(), vad_filter=vad_filter, max_window_s=10.0, on_skipped=lambda: None):
            if isinstance(each, Window):
                assert track.n_known * FRAME_SAMPLES >= each.pieces[-1].stop - SECOND
