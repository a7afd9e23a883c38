"""Figures of live levels: word errors, words lost at the end, delays."""

import numpy as np
import pytest

from bench.live.client import ClientRecord
from bench.live.figures import end_words_lost, level_figures, percentiles, recording_figures
from bench.live.material import RATE, Material
from bench.live.score import score


def record(reference, *words, error=None):
    """A client that sent ten seconds at time 100 and got one segment of (word, end), completed at time 105."""
    timed = [{"word": f" {text}", "start": f"{end - 0.4:.3f}", "end": f"{end:.3f}"} for text, end in words]
    segment = {"start": "0.000", "end": timed[-1]["end"], "completed": True, "words": timed}
    message = {"segments": [segment | {"text": "".join(word["word"] for word in timed)}]}
    pcm = np.zeros(10 * RATE, dtype=np.int16)
    material = Material("talk.wav", "en", pcm, reference, ())
    return ClientRecord("uid", material, started_s=100.0, ended_s=110.0, messages=[(105.0, message)], error=error)


def test_words_are_counted_after_whispers_normaliser():
    """Numbers and contractions count in one form, whichever way they are written; all streams are one count."""
    streams = [
        record("It's twenty five.", ("it", 0.5), ("is", 1.0), ("25", 2.0)),
        record("Nobody answers.", ("Nobody", 1.0), ("answered.", 2.0)),
    ]
    found = level_figures(streams, n_streams=2, cpu_s={"worker": 5.0})
    assert (found["errors"], found["words"], found["wer"]) == (1, 5, 0.2)
    assert found["cpu_s_per_audio_s"] == {"worker": 0.25}


def test_delays_count_from_the_last_sample():
    """The percentiles are those of all words and segments of all streams."""
    found = level_figures([record("One two", ("One", 1.0), ("two", 3.0))], n_streams=1, cpu_s={})
    assert found["word_done_s"] == {"p50": 3.0, "p95": 4.0}
    assert found["segment_done_s"] == {"p50": 2.0, "p95": 2.0}
    assert found["segment_length_s"] == {"p50": 3.0, "p95": 3.0}


@pytest.mark.parametrize(("reference", "lost"), [("a cat sat down here", 2), ("a cat sat", 0), ("a dog sat", 0)])
def test_words_missing_at_the_end_are_lost(reference, lost):
    """Only words after the last one of the transcript are lost; a wrong word is none of them."""
    sent = record(reference, ("a", 0.5), ("cat", 1.0), ("sat", 2.0))
    assert end_words_lost(sent, score(sent, 1.0)) == lost


def test_a_failed_stream_is_counted():
    """A stream that failed is in the counts, and its error is in its own figures."""
    failed = record("a cat", ("a", 0.5), error="closed with 1011")
    assert level_figures([failed], n_streams=1, cpu_s={})["failed"] == 1
    assert recording_figures(failed)["error"] == "closed with 1011"
    assert "transcript" not in recording_figures(failed)


def test_no_values_have_no_percentiles():
    """A server that sends no word times has no word delays."""
    assert percentiles([]) == {}
