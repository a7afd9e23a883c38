from __future__ import annotations

from tests.chaos.passages import Passages, passages

TEXT = "the doctor forgot the phone near the river. The new engineer cleaned the audio file before dinner."
LAST = "The new engineer cleaned the audio file before dinner."


def test_other_words_are_errors_and_no_passage():
    """Case and punctuation are neither."""
    live = TEXT.replace("doctor", "docker").upper().replace(".", "")
    assert passages(TEXT, live) == Passages(missing=0, additional=0, errors=1, words=17)


def test_a_lost_sentence_is_missing():
    """All of its words in a row."""
    assert passages(TEXT, TEXT.replace(LAST, "")).missing == 9


def test_a_doubled_sentence_is_additional():
    """All of its words in a row."""
    assert passages(TEXT, f"{TEXT} {LAST}").additional == 9


def test_no_text_at_all_is_one_missing_passage():
    """And so is every word of it."""
    assert passages(TEXT, "") == Passages(missing=17, additional=0, errors=17, words=17)
