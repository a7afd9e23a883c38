import pytest

from app.live.policy.spacing import spaced, spaced_words


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [
        ("one two", "three", " three"),
        ("", "one", " one"),
        ("one", " two", " two"),
        ("one ", "two", "two"),
        ("He said.", "“Well", " “Well"),
        ("안녕", "하세요", " 하세요"),
        ("one", ".", "."),
        ("你好", "世界", "世界"),
        ("", "你好", "你好"),
        ("你好。", "OK", "OK"),
        ("カタカナ", "ひらがな", "ひらがな"),
        ("สวัสดี", "ครับ", "ครับ"),
    ],
)
def test_segments_are_separated(before, text, expected):
    """A space between words, but none next to a script without spaces, nor before punctuation alone."""
    assert spaced(before, text) == expected


@pytest.mark.parametrize(
    ("words", "whole", "expected"),
    [
        (["one", "two"], "one two", ["one", " two"]),
        (["One", "two", ".", "Don", "'t"], "One two. Don't", ["One", " two", ".", " Don", "'t"]),
        (["one", "two"], "One, two!", ["one", " two"]),
        (["你", "好"], "你好", ["你", "好"]),
        (["你", "好"], "你好。", ["你", "好"]),
        (["well", "-known"], "well-known", ["well", "-known"]),
        (["in", "form"], "inform", ["in", "form"]),
        ([" 3", ".5"], " 3.5", [" 3", ".5"]),
        ([" one", "two"], " one, two", [" one", "two"]),
        (["one ", "two"], "one two!", ["one ", "two"]),
        (["one"], "one", ["one"]),
    ],
)
def test_words_get_the_spaces_their_service_left_out(words, whole, expected):
    """Only if the service left out all spaces: one that writes some left out the others on purpose."""
    assert spaced_words(words, whole) == expected
