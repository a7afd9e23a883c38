from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment as WhisperSegment
from faster_whisper.transcribe import Word as WhisperWord

from app.core.options import Options
from app.core.pcm import SAMPLE_RATE_HZ
from app.engine import segment_cuts as pieces_module
from app.engine.transcriber import Transcriber
from app.engine.whisper.decoding import Decoding, decoding_of
from app.engine.whisper.model import Model
from app.engine.whisper.segments import BYTE_OF, DecodedSegment, decode_window, scored, to_segment
from app.engine.windows import SpeechSpan, Window
from tests.engine.transcribing import transcribe
from tests.samples import pcm_of, word_error_rate

SECOND = SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def decoding(demo: Model) -> Decoding:
    """English with words, one try."""
    tokenizer = Tokenizer(demo.whisper.hf_tokenizer, multilingual=True, task="transcribe", language="en")
    return decoding_of(Options(words=True, tier="realtime"), tokenizer, server_beam=1, audio_s=30)


def decoded(whisper: WhisperModel, decoding: Decoding, file: str, **how: Any) -> list[DecodedSegment]:
    """One clip as one window."""
    features = whisper.feature_extractor(pcm_of(file))
    return decode_window(whisper, features, decoding.tokenizer, decoding.options, **how)


def test_a_window_cut_for_live_text_says_the_same(
    demo: Model, decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real model: pieces of a segment join to its text, text tokens, words and log-probabilities."""
    monkeypatch.setattr(pieces_module, "LONG_SEGMENT_S", 1.5)
    monkeypatch.setattr(pieces_module, "SHORT_PIECE_S", 0.3)
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


def test_tokens_that_are_parts_of_a_character_keep_their_bytes(decoding: Decoding) -> None:
    """Joined bytes are the text's, in any script; a token's own text is what can be shown of it."""
    for text in (" ein Löffel", " 今天天气很好。", " 😀 é", " Привет"):
        scores = [scored(decoding.tokenizer, token, 0.5) for token in decoding.tokenizer.encode(text)]
        assert b"".join(bytes(each.utf8) for each in scores).decode() == text
        assert all(each.token == bytes(each.utf8).decode(errors="replace") for each in scores)
        assert [each.token for each in scores] == [
            decoding.tokenizer.decode([token]) for token in decoding.tokenizer.encode(text)
        ]
    assert sorted(BYTE_OF.values()) == list(range(256))


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
            yield WhisperSegment(0, 0, 0.0, 1.0, " x", [1], -0.1, 1.0, 0.0, None, 0.0)
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


def raw_at(start: float, end: float, **about: Any) -> DecodedSegment:
    """A segment on the window's clock."""
    fields = {"id": 1, "seek": 0, "text": " late", "tokens": [1], "avg_logprob": -0.2, "compression_ratio": 1.0,
              "no_speech_prob": 0.0, "words": None, "temperature": 0.0, **about}  # fmt: skip
    return DecodedSegment(WhisperSegment(start=start, end=end, **fields))


def test_a_segment_never_ends_before_it_begins() -> None:
    """Times beyond the window, as models invent them in the padding, are pulled into it."""
    window = Window((SpeechSpan(0, 3 * SECOND),))
    for start, end in ((29.0, 29.5), (3.0, 3.0), (2.0, 1.0), (0.0, 0.0)):
        segment = to_segment(raw_at(start, end), window, number=0, words=False)
        assert segment is not None
        assert 0 <= segment.start < segment.end <= 3.1


def test_a_segment_that_says_nothing_is_none() -> None:
    """Blanks are no segment."""
    assert to_segment(raw_at(0.0, 1.0, text="  "), Window((SpeechSpan(0, SECOND),)), number=0, words=True) is None


def test_times_become_the_uploads_own() -> None:
    """Behind a pause that was left out, segment, words and seek have the times of the audio."""
    window = Window((SpeechSpan(SECOND, 3 * SECOND), SpeechSpan(50 * SECOND, 55 * SECOND)))
    words = [WhisperWord(2.5, 3.0, " late", 0.987654)]
    segment = to_segment(raw_at(2.5, 3.0, words=words), window, number=7, words=True)
    assert segment is not None
    assert (segment.id, segment.seek, segment.start, segment.end) == (7, 100, 50.5, 51.0)
    assert segment.words is not None
    assert [(word.start, word.end, word.word, word.probability) for word in segment.words] == [
        (50.5, 51.0, " late", 0.9877)
    ]


def test_live_text_comes_in_short_segments(transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch) -> None:
    """The realtime tier and a caller who limits the length get cut segments; a file gets them whole."""
    monkeypatch.setattr(pieces_module, "LONG_SEGMENT_S", 1.5)
    monkeypatch.setattr(pieces_module, "SHORT_PIECE_S", 0.3)
    whole = transcribe(transcriber, pcm_of("en-10.wav"))
    live = transcribe(transcriber, pcm_of("en-10.wav"), Options(tier="realtime"))
    limited = transcribe(transcriber, pcm_of("en-10.wav"), Options(max_speech_duration_s=30.0))
    # live text is decoded with another beam width, so the two may be cut at other words
    assert len(whole.segments) < min(len(live.segments), len(limited.segments))
    assert whole.text == limited.text
    assert word_error_rate([whole.text], [live.text]) <= 2 / len(whole.text.split())  # another beam width
    ids = [segment.id for segment in live.segments]
    assert ids == list(range(len(ids)))
