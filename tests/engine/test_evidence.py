from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.core.transcript import Segment
from app.engine.evidence import Evidence, evidence_of
from app.engine.speech_track import SpeechTrack
from app.engine.vad import FRAME_SAMPLES, FRAMES_PER_SECOND

SAID = Segment(0, 0, 2.0, 4.0, " Good morning.", (1,), -0.3, 0.9, 0.05, 0.0)
# The scores of text that tiny.en wrote for the noise of dishes.
INVENTED: dict[str, Any] = {"avg_logprob": -1.7, "no_speech_prob": 0.52}


def judged(speech_s: float, *, probability: float = 0.9, said: Segment = SAID, **about: Any) -> Evidence:
    """A segment from 2 to 4 s of ten seconds, with so much speech in its middle and background around it."""
    told = np.full(round(10 * FRAMES_PER_SECOND), 0.02, np.float32)
    middle, half = round(3 * FRAMES_PER_SECOND), round(speech_s * FRAMES_PER_SECOND / 2)
    told[middle - half : middle + half] = probability
    track = SpeechTrack(np.repeat(told, FRAME_SAMPLES), detect=lambda pcm: pcm[::FRAME_SAMPLES].copy())
    list(track.blocks())
    return evidence_of(replace(said, **about), track)


def test_the_probability_is_the_mean_over_the_segment() -> None:
    """0.9 for one of two seconds; what lies around the segment does not count."""
    assert judged(2.0).speech_prob == pytest.approx(0.9, abs=0.03)
    assert judged(1.0).speech_prob == pytest.approx(0.46, abs=0.03)
    assert judged(6.0).speech_prob == pytest.approx(0.9, abs=0.01)


def test_text_over_speech_is_given_out_whatever_the_model_says() -> None:
    """Speech that the model hardly understood, and thanks that somebody said, stay without a mark."""
    for about in ({}, INVENTED, {"text": " Thank you for watching."}, {"no_speech_prob": 0.99}):
        assert judged(1.8, **about).suppressed is None
        assert judged(1.8, **about).suspect is None


def test_text_without_letters_and_digits_is_dropped() -> None:
    """Points and notes say nothing, also over speech; letters of any script do."""
    for text in (" .", " . . .", " ♪♪", "", " -"):
        assert judged(1.8, text=text).suppressed == "no_text"
    for text in (" 7", " 你好", " Ø"):
        assert judged(1.8, text=text).suppressed is None


def test_text_without_speech_is_dropped_if_the_model_doubts_too() -> None:
    """Noise that the model calls no speech; at a low probability it is only marked."""
    assert judged(0.0, no_speech_prob=0.5).suppressed == "silence"
    assert judged(0.1, no_speech_prob=0.5).suppressed == "silence"
    found = judged(0.0)
    assert (found.suspect, found.suppressed) == ("silence", None)


def test_unlikely_text_over_little_speech_is_dropped() -> None:
    """Half a second that sounds like speech in noise: dropped if the text is unlikely and the model doubts."""
    assert judged(0.5, **INVENTED).suppressed == "silence"
    assert judged(0.5, **{**INVENTED, "no_speech_prob": 0.1}).suspect == "silence"
    likely = judged(0.5)
    assert (likely.suspect, likely.suppressed) == (None, None)


def test_boilerplate_is_dropped_only_without_speech() -> None:
    """Thanks over music are dropped however sure the model is; over a little speech they are marked."""
    thanks = " Thanks for watching!"
    assert judged(0.0, text=thanks).suppressed == "boilerplate"
    assert judged(0.5, text=thanks).suspect == "boilerplate"
    assert judged(1.8, text=thanks).suspect is None


def test_repetition_is_marked_and_never_dropped() -> None:
    """Text that compresses too well may still hold what was said."""
    found = judged(1.8, compression_ratio=2.5)
    assert (found.suspect, found.suppressed) == ("repetition", None)


def test_the_edges_of_a_segment_are_not_exact() -> None:
    """A word right behind a segment whose end is too early counts as its speech."""
    early = replace(SAID, start=2.0, end=2.6, **INVENTED)
    assert judged(0.6, said=early).suppressed == "silence"
    assert judged(0.6, said=replace(early, avg_logprob=-0.4)).suppressed is None
