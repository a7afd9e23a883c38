"""The delays of words and segments: shown, stable, done."""

import pytest

from bench.live.words import segment_delays, word_delays


def partial(text):
    """A segment that may change."""
    return {"start": "0.000", "end": "9.000", "text": text, "completed": False}


def completed(*words):
    """A completed segment of (word, end) with words of 0.4 s."""
    timed = [{"word": text, "start": f"{end - 0.4:.3f}", "end": f"{end:.3f}"} for text, end in words]
    text = "".join(word["word"] for word in timed)
    return {"start": timed[0]["start"], "end": timed[-1]["end"], "text": text, "completed": True, "words": timed}


def delays(words):
    """The three delays of each word."""
    return [(word.first_shown_s, word.stable_s, word.done_s) for word in words]


def test_word_is_shown_then_stable_then_done():
    """Each delay counts from the word's last sample; a word that changed is stable from its last change on."""
    messages = [
        (101.0, {"segments": [partial(" We")]}),
        (102.0, {"segments": [partial(" We hall")]}),
        (103.0, {"segments": [partial(" We all gaze")]}),
        (105.0, {"segments": [completed((" We", 0.5), (" all,", 1.0), (" gaze.", 1.5))]}),
    ]
    found = word_delays(messages, started_s=100.0)
    assert [word.text for word in found] == ["we", "all", "gaze"]
    assert delays(found) == [(0.5, 0.5, 4.5), (2.0, 2.0, 4.0), (1.5, 1.5, 3.5)]


def test_word_that_moves_is_shown_before_it_is_stable():
    """A word counts as shown although an earlier word is still missing, but not as stable."""
    messages = [
        (101.0, {"segments": [partial(" gaze")]}),
        (102.0, {"segments": [partial(" all gaze")]}),
        (103.0, {"segments": [completed((" all", 0.5), (" gaze", 1.0))]}),
    ]
    assert delays(word_delays(messages, started_s=100.0))[1] == (0.0, 1.0, 2.0)


def test_messages_of_one_update_are_one_state():
    """The partial copy of a segment that is about to be completed does not make the words after it unstable."""
    first = completed((" we", 0.5))
    messages = [
        (101.0, {"segments": [partial(" we all")]}),
        (102.0, {"segments": [partial(" we")]}),
        (102.0, {"segments": [first]}),
        (102.01, {"segments": [first, partial(" all")]}),
        (103.0, {"segments": [first, completed((" all", 1.0))]}),
    ]
    assert delays(word_delays(messages, started_s=100.0)) == [(0.5, 0.5, 1.5), (0.0, 0.0, 2.0)]


def test_segment_is_done_after_its_end():
    """A segment's delay counts from its end, at the speed at which the audio was sent."""
    messages = [(104.0, {"segments": [completed((" we", 1.0), (" all", 3.0))]})]
    (segment,) = segment_delays(messages, started_s=100.0, speed=2.0)
    assert segment.length_s == pytest.approx(2.4)
    assert segment.done_s == pytest.approx(2.5)


def test_part_of_a_word_belongs_to_the_word_before():
    """Word pieces without a leading space are one word, which ends with its last piece."""
    messages = [(103.0, {"segments": [completed((" well", 0.5), ("-known", 1.0), (" man", 1.5))]})]
    found = word_delays(messages, started_s=100.0)
    assert [(word.text, word.done_s) for word in found] == [("wellknown", 2.0), ("man", 1.5)]


def test_server_without_word_times_has_no_word_delays():
    """Segments are still measured."""
    messages = [(103.0, {"segments": [{"start": "0.0", "end": "2.0", "text": " we all", "completed": True}]})]
    assert word_delays(messages, started_s=100.0) == []
    assert [segment.done_s for segment in segment_delays(messages, started_s=100.0)] == [1.0]
