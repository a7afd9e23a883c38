from __future__ import annotations

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ
from app.engine.vad import speech_spans
from app.engine.windows import Scanned, SpeechSpan
from tests.samples import pcm_of

SECOND = SAMPLE_RATE_HZ


def spans_of(pcm, block_s: float = 120.0) -> list[SpeechSpan]:
    """Speech in pcm, searched in blocks of `block_s`."""
    found = speech_spans(pcm, min_silence_ms=160, pad_ms=400, block_samples=int(block_s * SECOND))
    return [span for span in found if isinstance(span, SpeechSpan)]


def test_each_block_but_the_last_is_reported() -> None:
    """Four blocks of silence: three reports of how far the search has come, ascending, none twice."""
    pcm = np.zeros(10 * SECOND, np.float32)
    found = list(speech_spans(pcm, min_silence_ms=160, pad_ms=400, block_samples=3 * SECOND))
    assert found == [Scanned(2 * SECOND), Scanned(4 * SECOND), Scanned(6 * SECOND), Scanned(8 * SECOND)]


def test_silence_and_noise_hold_no_speech() -> None:
    """Eight seconds of silence and of noise give no span at all."""
    assert spans_of(pcm_of("silence.wav")) == []
    assert spans_of(pcm_of("noise.wav")) == []


def test_small_blocks_find_the_speech_that_one_block_finds() -> None:
    """A search in small blocks covers what a search of the whole file covers, nothing twice."""
    pcm = pcm_of("long-en.wav")
    whole, blocks = np.zeros(len(pcm), np.int8), np.zeros(len(pcm), np.int8)
    for span in spans_of(pcm, 1000.0):
        whole[span.start : span.stop] = 1
    for span in spans_of(pcm, 20.0):
        blocks[span.start : span.stop] += 1
    assert blocks.max() == 1
    missed = np.count_nonzero((whole == 1) & (blocks == 0)) / SECOND
    assert missed < 1.0, f"{missed:.2f} s of speech were lost at block borders"


def test_the_first_span_comes_before_the_end_was_searched() -> None:
    """Speech of the first block is known while the rest of the file has not been read."""
    pcm = pcm_of("long-en.wav")
    spans = speech_spans(pcm, min_silence_ms=160, pad_ms=400, block_samples=20 * SECOND)
    first = next(spans)
    assert isinstance(first, SpeechSpan)
    pcm[30 * SECOND :] = 0  # what comes later is still unread, so changing it changes the result
    assert first.start < 2 * SECOND
    assert max(span.stop for span in spans if isinstance(span, SpeechSpan)) < 32 * SECOND


def test_speech_without_a_pause_is_never_dropped() -> None:
    """A block that is speech from end to end is handed on as it is."""
    voice = pcm_of("en-10.wav")
    pcm = np.tile(voice[SECOND // 2 : 2 * SECOND], 20)
    n_spans = np.zeros(len(pcm), np.int8)
    for span in spans_of(pcm, 2.0):
        n_spans[span.start : span.stop] += 1
    assert n_spans.max() == 1
    assert n_spans.mean() > 0.9
