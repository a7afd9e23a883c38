"""The commit rules on recorded hypotheses."""

import pytest

from app.live.policy.agreement import WindowHypothesis, agreed, decide
from app.live.policy.hypothesis import Word
from app.live.policy.stream_policy import StreamPolicy

POLICY = StreamPolicy()


def hypothesis(text, end_s, *, start_s=0.0, first=0.0, step=0.4, closed=False, segment_ends=()):
    """A hypothesis of these words at an even pace."""
    words = tuple(
        Word(first + i * step, first + i * step + 0.3, f" {w}", ends_segment=i in segment_ends)
        for i, w in enumerate(text.split())
    )
    return WindowHypothesis(words, start_s, end_s, closed)


def committed(previous, current, policy=POLICY):
    """The words that are final, and the rule."""
    decision = decide(previous, current, policy)
    return [word.text.strip() for word in current.words[: decision.count]], decision.rule


def test_first_hypothesis_commits_nothing():
    """A single open window is no evidence for words near its end."""
    assert committed(None, hypothesis("but when they do", 1.7)) == ([], "nothing")


def test_two_hypotheses_agree_on_a_prefix():
    """The words in both are final, in the newer spelling; the rest is not."""
    first = hypothesis("and thou shalt be a keck", 2.4)
    second = hypothesis("And thou shalt be a captain over", 3.4)
    assert committed(first, second) == (["And", "thou", "shalt", "be", "a"], "agreed")


def test_word_at_the_edge_is_never_agreed():
    """If both windows end within the same word, it may be the beginning of a longer one."""
    first = hypothesis("we all trans", 1.15)
    second = hypothesis("we all trans", 1.2)
    assert committed(first, second) == (["we", "all"], "agreed")


def test_pause_commits_all():
    """A window that ends in silence is final at once, including its last word."""
    assert committed(hypothesis("we all gays", 1.3), hypothesis("we all gazed", 2.2, closed=True)) == (
        ["we", "all", "gazed"],
        "closed",
    )


def test_a_distant_window_commits_before_the_guard():
    """If requests are seconds apart, one is enough for words that end two seconds before its end."""
    current = hypothesis("a b c d e f g h i j", 5.0)
    assert committed(hypothesis("x", 1.0), current) == (["a", "b", "c", "d", "e", "f", "g"], "guarded")


def test_close_windows_wait_for_agreement():
    """If requests are a second apart, the same words wait for the next one."""
    assert committed(hypothesis("x", 4.0), hypothesis("a b c d e f g h i j", 5.0))[0] == []


def test_disagreement_does_not_last_for_ever():
    """Words six seconds before the end are final although hypotheses keep changing them."""
    words = " ".join("abcdefghijklmnopqrst")
    assert committed(hypothesis("x", 7.5), hypothesis(words, 8.5)) == (list("abcdef"), "overdue")


def test_full_window_commits_to_its_last_segment():
    """A window that cannot grow is final up to its last segment end."""
    current = hypothesis("a b c d e f", 26.0, first=22.0, segment_ends=(1, 3))
    assert committed(hypothesis("x", 25.0, first=22.0), current) == (["a", "b", "c", "d"], "full")


def test_whole_segments_can_agree():
    """Segments without words count as words: equal ones in two hypotheses are final."""
    one = Word(0, 2.0, " We all gaze.", ends_segment=True)
    first = WindowHypothesis((one, Word(2.0, 3.0, " And")), 0, 3.0)
    second = WindowHypothesis((one, Word(2.0, 4.0, " And thou")), 0, 4.0)
    assert decide(first, second, POLICY).count == 1


@pytest.mark.parametrize(("first", "second", "count"), [("a b c", "a b c d", 3), ("a x c", "a b c", 1), ("", "a", 0)])
def test_agreement_is_a_common_prefix(first, second, count):
    """Agreement stops at the first difference."""
    assert agreed(hypothesis(first, 1), hypothesis(second, 2)) == count


def test_silence_commits_nothing():
    """An empty hypothesis commits nothing, whether its window is closed or open."""
    assert decide(None, hypothesis("", 3.0, closed=True), POLICY).count == 0
    assert decide(None, hypothesis("", 3.0), POLICY) == decide(hypothesis("", 2.0), hypothesis("", 3.0), POLICY)
