import pytest

from bench.accuracy.scores import difference_interval, scored, summaries, worse
from bench.accuracy.words import WordErrors
from tests.bench.accuracy_run import NOISE, READ, made, run


def test_english_speech_makes_the_total():
    """Errors of English speech are pooled; other languages and noise stand apart."""
    stock, full = summaries(run(), baseline="stock", reference="full")
    assert stock.errors == WordErrors(0, 8)  # five words and three digits
    assert full.errors == WordErrors(3, 8)
    assert full.by_group == {
        "read speech": WordErrors(3, 5),
        "digits": WordErrors(0, 3),
        "other languages": WordErrors(1, 1),
    }


def test_the_plain_comparison_stands_beside():
    """Numbers as digits where the reference spells them are errors of the plain comparison only."""
    stock, _ = summaries(run(), baseline="stock", reference="full")
    assert stock.plain_errors == WordErrors(3, 8)


def test_settings_are_compared_with_the_baseline():
    """The difference of rates with its interval; the baseline has none."""
    stock, full = summaries(run(), baseline="stock", reference="full")
    assert (stock.difference, stock.interval) == (None, None)
    assert full.difference == pytest.approx(3 / 8)
    assert full.difference is not None
    assert full.interval is not None
    assert full.interval[0] <= full.difference <= full.interval[1]


def test_texts_are_compared_with_the_reference():
    """Recordings with any other text, and the share of words that changed, after the normaliser."""
    stock, full = summaries(run(), baseline="stock", reference="full")
    assert (full.n_different, full.different_words) == (0, 0.0)
    assert stock.n_different == 4
    assert stock.different_words == pytest.approx((3 + 0 + 1 + 2) / (3 + 3 + 1 + 0))


def test_text_on_noise_is_counted():
    """Letters, and the files for which there are any."""
    stock, full = summaries(run(), baseline="stock", reference="full")
    assert (stock.non_speech_letters, stock.non_speech_files) == (8, ("noise.flac",))
    assert (full.non_speech_letters, full.non_speech_files) == (0, ())


def test_costs_add_up():
    """CPU time is pooled over all recordings, speed is audio over wall clock."""
    stock, _ = summaries(run(), baseline="stock", reference="full")
    assert stock.cpu_s == 2.0
    assert stock.rtfx == pytest.approx(10.0)
    assert (stock.n_windows, stock.n_fallbacks) == (4, 0)


def test_cpu_time_that_is_not_known_stays_unknown():
    """One unknown makes the total unknown, not smaller."""
    half_known = {"server": [scored(READ, made("x", cpu_s=None)), scored(NOISE, made("", n_fallbacks=1))]}
    (only,) = summaries(half_known, baseline=None, reference=None)
    assert (only.cpu_s, only.difference, only.n_different) == (None, None, None)
    assert only.n_fallbacks == 1


def test_the_worst_recordings_come_first():
    """Only those that are worse by so many words; words on noise count."""
    assert [ours.recording for ours, _ in worse(run(), setting="full", baseline="stock", by_words=2)] == [READ]
    assert [ours.recording for ours, _ in worse(run(), setting="stock", baseline="full", by_words=2)] == [NOISE]


def test_an_interval_holds_the_difference():
    """Equal counts give no difference; drawing is repeatable."""
    same = [WordErrors(1, 10), WordErrors(2, 10)]
    assert difference_interval(same, same) == (0.0, 0.0)
    more = [WordErrors(2, 10), WordErrors(5, 10)]
    assert difference_interval(more, same) == difference_interval(more, same) == pytest.approx((0.1, 0.3))
