from __future__ import annotations

import gc
import itertools
import math
import weakref
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment as RawSegment
from faster_whisper.transcribe import Word as RawWord

from app.audio import SAMPLE_RATE_HZ
from app.engine import segments as segments_module
from app.engine.decoding import Decoding, decoding_of
from app.engine.model import Model
from app.engine.segments import (
    LONG_SEGMENT_S,
    SHORT_PIECE_S,
    Raw,
    SpokenWord,
    decode_window,
    pieces_of,
    to_segment,
)
from app.engine.transcriber import Transcriber
from app.engine.windows import Span, Window
from app.options import Options
from tests.engine.hearing import hear
from tests.samples import pcm_of

SECOND = SAMPLE_RATE_HZ


def spoken(text: str, *, start_s: float = 0.0, word_s: float = 0.5, pauses: dict[int, float] | None = None) -> tuple[
    RawSegment, list[SpokenWord]
]:  # fmt: skip
    """A segment and its words, half a second each, with pauses before some; one or two tokens a word."""
    words, now_s, token = list[SpokenWord](), start_s, itertools.count(1)
    for index, word in enumerate(text.split()):
        now_s += (pauses or {}).get(index, 0.0)
        tokens = tuple(next(token) for _ in range(1 + index % 2))
        words.append(SpokenWord(f" {word}", tokens, now_s, now_s + word_s))
        now_s += word_s
    segment = RawSegment(
        id=1, seek=0, start=start_s, end=now_s, text="".join(word.text for word in words),
        tokens=[each for word in words for each in word.tokens], avg_logprob=-0.2, compression_ratio=1.0,
        no_speech_prob=0.1, words=[RawWord(word.start_s, word.end_s, word.text, 0.9) for word in words],
        temperature=0.0,
    )  # fmt: skip
    return segment, words


def assert_whole(segment: RawSegment, pieces: list[RawSegment]) -> None:
    """Nothing is lost, doubled or out of order."""
    assert segment.text == "".join(piece.text for piece in pieces)
    assert segment.tokens == [token for piece in pieces for token in piece.tokens]
    assert segment.words == [word for piece in pieces for word in piece.words or ()]
    assert (segment.start, segment.end) == (pieces[0].start, pieces[-1].end)
    assert all(piece.start < piece.end for piece in pieces)
    assert all(first.end <= second.start for first, second in pairwise(pieces))


def test_a_short_segment_is_left_alone() -> None:
    """Up to eight seconds nothing is cut."""
    segment, words = spoken("one two three. four five")
    assert [segment] == pieces_of(segment, words)


def test_a_long_segment_is_cut_at_a_sentences_end() -> None:
    """The end of a sentence is preferred to a longer pause and to the middle."""
    segment, words = spoken("a b c d e f. g h i j k l m n o p q r", pauses={12: 1.0})
    pieces = pieces_of(segment, words)
    assert pieces[0].text == " a b c d e f."
    assert_whole(segment, pieces)


def test_without_sentences_the_longest_pause_is_the_place() -> None:
    """A pause marks a phrase; without one the middle must do."""
    paused, words = spoken("a b c d e f g h i j k l m n o p q r", pauses={6: 0.8, 10: 0.4})
    assert pieces_of(paused, words)[0].text == " a b c d e f"
    even, words = spoken("a b c d e f g h i j k l m n o p q r")
    assert pieces_of(even, words)[0].text == " a b c d e f g h i"


def test_pieces_are_neither_too_long_nor_too_short() -> None:
    """Half a minute of words: every piece is at most eight seconds and at least two."""
    segment, words = spoken(" ".join(f"w{n}" for n in range(60)))
    pieces = pieces_of(segment, words)
    assert all(SHORT_PIECE_S <= piece.end - piece.start <= LONG_SEGMENT_S for piece in pieces)
    assert_whole(segment, pieces)


def test_random_segments_lose_nothing() -> None:
    """Any words, pauses and punctuation: texts, tokens and timed words join to the whole, times ascend."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        n = int(rng.integers(1, 80))
        text = " ".join("word"[: int(rng.integers(1, 5))] + str(rng.choice(["", ".", ",", "?"])) for _ in range(n))
        pauses = {int(index): float(rng.random() * 3) for index in rng.integers(0, n, 5)}
        segment, words = spoken(text, start_s=3.0, word_s=float(rng.uniform(0.05, 0.8)), pauses=pauses)
        assert_whole(segment, pieces_of(segment, words))


def test_words_without_a_place_to_cut_stay_together() -> None:
    """A text without spaces is one piece, however long."""
    segment, words = spoken("a b c d e f g h i j k l m n o p q r s t u v")
    joined = [replace(word, text=word.text.strip()) for word in words]
    assert [segment] == pieces_of(segment, joined)


def test_times_that_stand_still_stay_in_order() -> None:
    """An alignment that puts every word on one spot still gives pieces that end after they begin."""
    segment, words = spoken("a b c d e f g h i j k l m n o p q r")
    squeezed = [replace(word, start_s=min(word.start_s, 5.0), end_s=min(word.end_s, 5.0)) for word in words]
    squeezed[-1] = replace(squeezed[-1], end_s=segment.end)
    pieces = pieces_of(segment, squeezed)
    assert all(piece.start < piece.end for piece in pieces)
    assert all(first.start <= second.start for first, second in pairwise(pieces))


def test_without_timed_words_pieces_have_none() -> None:
    """Pieces of a segment whose words were not asked for stay without words."""
    segment, words = spoken(" ".join(f"w{n}" for n in range(40)))
    pieces = pieces_of(replace(segment, words=None), words)
    assert len(pieces) > 1
    assert all(piece.words is None for piece in pieces)


@pytest.fixture(scope="module")
def decoding(demo: Model) -> Decoding:
    """English with words, one try."""
    tokenizer = Tokenizer(demo.whisper.hf_tokenizer, multilingual=True, task="transcribe", language="en")
    return decoding_of(Options(words=True, tier="realtime"), tokenizer, beam_size=1)


def decoded(whisper: WhisperModel, decoding: Decoding, file: str, **how: Any) -> list[Raw]:
    """One clip as one window."""
    features = whisper.feature_extractor(pcm_of(file))
    return decode_window(whisper, features, decoding.tokenizer, decoding.options, **how)


def test_a_window_cut_for_live_text_says_the_same(
    demo: Model, decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real model: pieces of a segment join to its text, text tokens, words and log-probabilities."""
    monkeypatch.setattr(segments_module, "LONG_SEGMENT_S", 1.5)
    monkeypatch.setattr(segments_module, "SHORT_PIECE_S", 0.3)
    eot = decoding.tokenizer.eot
    for file in ("en-08.wav", "en-10.wav"):
        whole = decoded(demo.whisper, decoding, file, logprobs=True)
        pieces = decoded(demo.whisper, decoding, file, logprobs=True, split=True)
        assert len(pieces) > len(whole)
        assert "".join(raw.segment.text for raw in whole) == "".join(raw.segment.text for raw in pieces)
        texts = [[token for raw in raws for token in raw.segment.tokens if token < eot] for raws in (whole, pieces)]
        assert texts[0] == texts[1]
        words = [[word for raw in raws for word in raw.segment.words or ()] for raws in (whole, pieces)]
        assert words[0] == words[1]
        scores = [[each for raw in raws for each in raw.logprobs or ()] for raws in (whole, pieces)]
        assert scores[0] == scores[1]
        assert [each.utf8 for each in scores[0]]
        times = [time for raw in pieces for time in (raw.segment.start, raw.segment.end)]
        assert sorted(times) == times
        assert (whole[0].segment.start, whole[-1].segment.end) == (times[0], times[-1])


def test_every_text_token_has_its_probability(demo: Model, decoding: Decoding) -> None:
    """As many log-probabilities as text tokens, none above 0, and their texts join to the segment's."""
    for raw in decoded(demo.whisper, decoding, "en-10.wav", logprobs=True):
        assert raw.logprobs is not None
        tokens = [token for token in raw.segment.tokens if token < decoding.tokenizer.eot]
        assert len(tokens) == len(raw.logprobs)
        assert all(each.logprob <= 1e-6 and math.isfinite(each.logprob) for each in raw.logprobs)
        assert b"".join(bytes(each.utf8) for each in raw.logprobs).decode() == raw.segment.text


def test_what_was_not_asked_for_is_not_computed(demo: Model, decoding: Decoding) -> None:
    """Without logprobs there are none, and short segments are the same with and without cutting."""
    whole = decoded(demo.whisper, decoding, "en-00.wav")
    assert all(raw.logprobs is None for raw in whole)
    assert whole == decoded(demo.whisper, decoding, "en-00.wav", split=True)


def test_encoded_audio_is_freed_with_its_window(demo: Model, decoding: Decoding) -> None:
    """A window's encoder output (megabytes) does not wait for the garbage collector."""
    encoded: list[weakref.ref[Any]] = []
    whisper = demo.whisper

    class Watching(WhisperModel):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            self.__dict__.update(whisper.__dict__)

        def encode(self, features: Any) -> Any:
            made = np.asarray(whisper.encode(features))
            encoded.append(weakref.ref(made))
            return made

        def generate_segments(self, *args: Any) -> Any:
            yield RawSegment(0, 0, 0.0, 1.0, " x", [1], -0.1, 1.0, 0.0, None, 0.0)
            self.encode(args[0])

    gc.collect()
    gc.disable()
    try:
        watching = Watching()
        decode_window(watching, np.zeros((80, 100), np.float32), decoding.tokenizer, decoding.options, encoded=object())
        assert len(encoded) == 1
        assert encoded[0]() is None
    finally:
        gc.enable()


def raw_at(start: float, end: float, **about: Any) -> Raw:
    """A segment on the window's clock."""
    fields = {"id": 1, "seek": 0, "text": " late", "tokens": [1], "avg_logprob": -0.2, "compression_ratio": 1.0,
              "no_speech_prob": 0.0, "words": None, "temperature": 0.0, **about}  # fmt: skip
    return Raw(RawSegment(start=start, end=end, **fields))


def test_a_segment_never_ends_before_it_begins() -> None:
    """Times beyond the window, as models invent them in the padding, are pulled into it."""
    window = Window((Span(0, 3 * SECOND),))
    for start, end in ((29.0, 29.5), (3.0, 3.0), (2.0, 1.0), (0.0, 0.0)):
        segment = to_segment(raw_at(start, end), window, number=0, words=False)
        assert segment is not None
        assert 0 <= segment.start < segment.end <= 3.1


def test_a_segment_that_says_nothing_is_none() -> None:
    """Blanks are no segment."""
    assert to_segment(raw_at(0.0, 1.0, text="  "), Window((Span(0, SECOND),)), number=0, words=True) is None


def test_times_become_the_uploads_own() -> None:
    """Behind a pause that was left out, segment, words and seek stand where they are heard."""
    window = Window((Span(SECOND, 3 * SECOND), Span(50 * SECOND, 55 * SECOND)))
    words = [RawWord(2.5, 3.0, " late", 0.987654)]
    segment = to_segment(raw_at(2.5, 3.0, words=words), window, number=7, words=True)
    assert segment is not None
    assert (segment.id, segment.seek, segment.start, segment.end) == (7, 100, 50.5, 51.0)
    assert segment.words is not None
    assert [(word.start, word.end, word.word, word.probability) for word in segment.words] == [
        (50.5, 51.0, " late", 0.9877)
    ]


def test_live_text_comes_in_short_segments(transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch) -> None:
    """The realtime tier and a caller who limits the length get cut segments; a file gets them whole."""
    monkeypatch.setattr(segments_module, "LONG_SEGMENT_S", 1.5)
    monkeypatch.setattr(segments_module, "SHORT_PIECE_S", 0.3)
    whole = hear(transcriber, pcm_of("en-10.wav"))
    live = hear(transcriber, pcm_of("en-10.wav"), Options(tier="realtime"))
    limited = hear(transcriber, pcm_of("en-10.wav"), Options(max_speech_duration_s=30.0))
    assert len(whole.segments) < len(live.segments) == len(limited.segments)
    assert whole.text == live.text
    ids = [segment.id for segment in live.segments]
    assert ids == list(range(len(ids)))
