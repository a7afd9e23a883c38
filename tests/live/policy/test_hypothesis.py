import math
from typing import Any

import pytest

from app.live.policy.hypothesis import NoTranscript, Word, from_body


def read(body, **options):
    """from_body with ordinary options."""
    return from_body(body, **({"no_speech_thresh": 0.45, "duration_s": 10.0} | options))


def segment(text=" Hello there.", start=1.0, end=2.0, **more):
    """A segment as a service sends it."""
    return {"text": text, "start": start, "end": end} | more


WORDS = [
    {"word": " Hello", "start": 1.0, "end": 1.4, "probability": 0.9},
    {"word": " there.", "start": 1.5, "end": 2.0, "probability": 0.8},
]


def test_words_of_segments():
    """Words come with their spaces and times, and the last one ends the segment."""
    hypothesis = read({"segments": [segment(words=WORDS)], "language": "en", "language_probability": 0.97})
    assert hypothesis.words == (
        Word(1.0, 1.4, " Hello", 0.9),
        Word(1.5, 2.0, " there.", 0.8, ends_segment=True),
    )
    assert (hypothesis.language, hypothesis.language_probability) == ("en", 0.97)


def test_segment_without_words_stands_for_one():
    """A service without words works too, in larger steps."""
    assert read({"segments": [segment()]}).words == (Word(1.0, 2.0, " Hello there.", 1.0, ends_segment=True),)


def test_text_only_answer():
    """A text without segments covers the window."""
    assert read({"text": "Hi"}).words == (Word(0.0, 10.0, " Hi", 1.0, ends_segment=True),)


@pytest.mark.parametrize("segments", [[], None, "no", [None, 7], [{"start": 0, "end": 1}], [{"text": " "}]])
def test_text_without_segments_is_not_lost(segments):
    """If no segment has a text, the body's text is used; segments left out as noise stay out."""
    assert [word.text for word in read({"text": "Hi there", "segments": segments}).words] == [" Hi there"]
    noisy = segment(" Thank you.", no_speech_prob=0.9, avg_logprob=-1.4)
    assert read({"text": "Thank you.", "segments": [noisy]}).words == ()


@pytest.mark.parametrize("body", [{"text": "", "segments": []}, {"text": ""}, {"segments": []}, {"text": " "}])
def test_silence_is_an_answer(body):
    """A response without words is not a failure."""
    assert read(body).words == ()
    assert read(body | {"error": None}).words == ()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error": {"message": "out of memory"}},
        {"error": "out of memory", "text": ""},
        {"segments": None, "text": None},
        {"segments": "no"},
        {"segments": [None, 7, {"text": None}]},
    ],
)
def test_an_answer_without_a_transcript_is_none(body):
    """It must not count as silence, because the audio would be dropped."""
    with pytest.raises(NoTranscript):
        read(body)


def test_half_a_character_is_replaced():
    """JSON can contain half of a surrogate pair, which a socket cannot send; two halves become one character."""
    words = [{"word": " a\ud800", "start": 1.0, "end": 2.0}]
    hypothesis = read({"segments": [segment(" \ud83d\ude00"), segment(" a\ud800", words=words)], "language": "e\udfff"})
    assert [word.text for word in hypothesis.words] == [" \U0001f600", " a\ufffd"]
    assert hypothesis.language == "e\ufffd"
    assert read({"text": "a\ud800"}).words[0].text == " a\ufffd"


def text_of(hypothesis):
    """What a client would show."""
    return "".join(word.text for word in hypothesis.words)


def test_trimmed_texts_are_not_glued_together():
    """Segments and words of a service that trims its texts get spaces."""
    segments = [segment("one two", 0, 1), segment("three four", 1, 2), segment("five", 2, 3)]
    assert text_of(read({"segments": segments})) == " one two three four five"
    words = [{"word": word, "start": 1, "end": 2} for word in ("one", "two", ".")]
    assert text_of(read({"segments": [segment("one two.", words=words)] * 2})) == " one two. one two."


def test_signs_of_chinese_stay_together():
    """Whether the response has words, segments or only a text."""
    words = [{"word": sign, "start": 1, "end": 2} for sign in ("你", "好", "。")]
    assert text_of(read({"segments": [segment("你好。", words=words)] * 2})) == "你好。你好。"
    assert text_of(read({"segments": [segment("你好"), segment("世界")]})) == "你好世界"
    assert text_of(read({"text": "你好"})) == "你好"


def test_noise_needs_two_witnesses():
    """A segment that is probably no speech is dropped only if its log probability is low too; its neighbours stay."""
    noisy = segment(" Thank you.", no_speech_prob=0.9, avg_logprob=-1.4)
    sure = segment(" Hi.", 3.0, 4.0, no_speech_prob=0.9, avg_logprob=-0.3)
    assert [word.text for word in read({"segments": [noisy, sure]}).words] == [" Hi."]


@pytest.mark.parametrize(
    "body",
    [
        {"segments": [None, 7, {"text": None}, {"text": "  "}]},
        {"segments": [segment(start=10**400, end=-(10**400))], "language_probability": 10**400},
        {"segments": [{"text": " x", "words": "y"}]},
        {"language": 7, "language_probability": "high", "segments": [segment(start=None, end=math.nan)]},
        {
            "segments": [
                segment(words=[{"word": None}, {"word": " a", "start": math.inf, "end": "z", "probability": -3}])
            ]
        },
        {"segments": [segment(start=-5, end=99)]},
    ],
)
def test_odd_bodies_give_usable_words(body):
    """Whatever the response contains, times are finite, ordered and within the window."""
    reached = 0.0
    for word in read(body).words:
        assert math.isfinite(word.start)
        assert reached <= word.start <= word.end <= 10.0
        assert 0 <= word.probability <= 1
        reached = word.end


def test_times_never_go_back():
    """Overlapping segments are made consecutive."""
    words = read({"segments": [segment(start=1, end=3), segment(start=2, end=4), segment(start=0, end=1)]}).words
    assert [(word.start, word.end) for word in words] == [(1, 3), (3, 4), (4, 4)]


def test_key_ignores_case_and_punctuation():
    """Two hypotheses agree on a word that only got a comma, and on words of punctuation alone."""
    assert Word(0, 1, " Hello,").key == Word(0, 1, " hello").key
    assert Word(0, 1, " ...").key == "..."


def test_word_is_moved_within_bounds():
    """Times stay within the bounds, a word never ends before it starts, and if the bounds cross the lower one wins."""
    assert Word(1.0, 3.0, " a").within(0.0, 2.0) == Word(1.0, 2.0, " a")
    assert Word(1.0, 3.0, " a").within(1.5, 4.0) == Word(1.5, 3.0, " a")
    assert Word(2.5, 3.0, " a").within(0.0, 2.0) == Word(2.0, 2.0, " a")
    assert Word(1.0, 3.0, " a").within(2.5, 2.0) == Word(2.5, 2.5, " a")


def test_no_type_of_any_field_breaks_the_reading():
    """Each field with each kind of value gives words that JSON can hold, or no transcript, and nothing else."""
    odd: list[Any] = [
        None,
        True,
        7,
        -1,
        10**400,
        math.nan,
        math.inf,
        "",
        "x",
        "\ud800",
        [],
        [None],
        [[]],
        {},
        {"text": 1},
    ]
    fields = ("text", "start", "end", "words", "no_speech_prob", "avg_logprob")
    bodies = [{name: value} for name in ("text", "segments", "language", "error") for value in odd]
    bodies += [{"segments": [segment() | {name: value}]} for name in fields for value in odd]
    bodies += [
        {"segments": [segment(words=[WORDS[0] | {name: value}])]}
        for name in ("word", "start", "end", "probability")
        for value in odd
    ]
    for body in [*bodies, *({"text": "Hi", "segments": [segment()]} | body for body in bodies)]:
        try:
            hypothesis = read(body)
        except NoTranscript:
            continue
        assert all(0 <= word.start <= word.end <= 10 for word in hypothesis.words)
        "".join([*(word.text for word in hypothesis.words), hypothesis.language or ""]).encode()
