import pytest

from tools.demo_model.scoring import (
    Span,
    boundary_errors_s,
    in_seconds,
    median_or_none,
    percent,
    table,
    word_error_rate,
    word_errors,
    words,
)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [("a b c", "a b c", 0), ("a b c", "a c", 1), ("a b", "a x b", 1), ("a b", "x y", 2), ("", "a", 1), ("a", "", 1)],
)
def test_word_errors_count_the_least_edits(reference, hypothesis, errors):
    """Replaced, missing and added words count one each."""
    assert word_errors(reference.split(), hypothesis.split()) == errors


def test_case_marks_and_apostrophes_are_no_errors():
    """What is scored is what was said."""
    assert words("It's HERE, isn't it?") == ["its", "here", "isnt", "it"]


def test_rate_is_over_all_words_together():
    """A long text weighs more than a short one."""
    assert word_error_rate([("a b c", "a b c"), ("d", "x")]) == 0.25


def test_no_reference_words_is_an_error():
    """An empty set has no rate."""
    with pytest.raises(ValueError, match="no reference words"):
        word_error_rate([("", "x")])


def test_boundaries_are_measured_to_the_nearest_segment():
    """Each sentence has an error at its start and one at its end."""
    sentences = [Span(0.0, 1.0), Span(2.0, 3.0)]
    segments = [Span(0.1, 1.0), Span(2.5, 3.1)]
    assert boundary_errors_s(sentences, segments) == pytest.approx([0.1, 0.0, 0.5, 0.1])
    assert boundary_errors_s(sentences, []) == []


def test_figures_are_printed_with_their_unit():
    """Nothing to measure is a dash."""
    assert (percent(0.1234), percent(None)) == ("12.3 %", "-")
    assert (in_seconds(0.256), in_seconds(median_or_none([]))) == ("0.26 s", "-")


def test_table_has_a_column_per_model():
    """Markdown, measures down, models across."""
    printed = table(["old", "new"], [("WER", ("3 %", "2 %"))])
    assert printed.splitlines() == ["| measure | old | new |", "|---|---|---|", "| WER | 3 % | 2 % |"]
