import math

import pytest

from bench.arithmetic import Round, identical_share, n_windows, overhead, percentile, pool, ratio


def round_of(*latencies_s: float, wall_s: float = 10.0, n_busy: int = 0, texts=(), rss: int = 0) -> Round:
    """A round in which two cores did 8 s of the design's work, 1 s of the driver's and 1 s of others'."""
    return Round(
        wall_s=wall_s,
        latencies_s=latencies_s,
        n_busy=n_busy,
        texts=tuple(texts),
        cpu_s=8.0,
        driver_cpu_s=1.0,
        others_cpu_s=1.0,
        peak_rss_bytes=rss,
    )


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 50), (95, 95), (99, 99), (99.5, 100), (100, 100)])
def test_percentile_is_the_nearest_rank(percent, expected):
    """Of 1..100 in any order the p-th percentile is p: a value that was measured, never a mean of two."""
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


def test_percentile_of_few():
    """With one value every percentile is that value; p95 of ten is the largest."""
    assert percentile([3.0], 50) == percentile([3.0], 99) == 3.0
    assert percentile([float(value) for value in range(1, 11)], 95) == 10.0


def test_percentile_of_nothing():
    """No values: not a number, rather than a number nobody measured."""
    assert math.isnan(percentile([], 95))


@pytest.mark.parametrize("percent", [-1, 101])
def test_percentile_refuses_what_is_none(percent):
    """A percentage outside 0..100 is a bug of the caller."""
    with pytest.raises(ValueError, match="not from 0 to 100"):
        percentile([1.0], percent)


@pytest.mark.parametrize(("clip_s", "expected"), [(1, 1), (5, 1), (30, 1), (30.5, 2), (60, 2)])
def test_a_short_clip_costs_a_window(clip_s, expected):
    """Whisper sees 30 s at once: shorter clips fill one window, longer ones several."""
    assert n_windows(clip_s) == expected


def test_throughput_is_work_over_wall_clock():
    """Two answers in 10 s and four in 20 s: six windows in 30 s, whatever the latencies were."""
    figures = pool([round_of(9.0, 9.0), round_of(1.0, 2.0, 3.0, 4.0, wall_s=20.0)], clip_s=15, n_cores=2)
    assert figures.n_answers == 6
    assert figures.windows_per_s == pytest.approx(0.2)
    assert figures.audio_s_per_s == pytest.approx(3.0)
    assert figures.p50_s == 3.0
    assert figures.p95_s == 9.0


def test_shares_of_a_cell():
    """CPU time is per window, the others' share is of all cores, memory is the largest of the rounds."""
    rounds = [round_of(1.0, 1.0, n_busy=2, rss=1024**2), round_of(1.0, 1.0, rss=3 * 1024**2)]
    figures = pool(rounds, clip_s=30, n_cores=2)
    assert figures.busy_share == pytest.approx(2 / 6)
    assert figures.cpu_s_per_window == pytest.approx(4.0)
    assert figures.driver_cpu_share == figures.others_cpu_share == pytest.approx(2 / 40)
    assert figures.peak_rss_mib == 3.0


def test_nothing_answered_is_an_error():
    """A cell without an answer has no figures, not figures of zero."""
    with pytest.raises(ValueError, match="nothing was answered"):
        pool([round_of()], clip_s=5, n_cores=2)


def test_ratio_and_overhead():
    """Twice the windows is a ratio of 2; 95 of 100 windows is an overhead of 5 %; over nothing: NaN."""
    assert ratio(4.0, 2.0) == 2.0
    assert math.isnan(ratio(4.0, 0.0))
    assert overhead(95.0, 100.0) == pytest.approx(0.05)


def test_identical_share_compares_clip_by_clip():
    """A text counts if it is the one text the other design gave for the same clip."""
    theirs = [round_of(1.0, texts=[(0, "a"), (1, "b"), (2, "c"), (2, "C")])]
    ours = [round_of(1.0, texts=[(0, "a"), (1, "a")]), round_of(1.0, texts=[(2, "c"), (0, "a")])]
    assert identical_share(ours, theirs) == 0.5


def test_identical_share_of_strangers():
    """Clips only one side has seen say nothing."""
    assert math.isnan(identical_share([round_of(1.0, texts=[(0, "a")])], [round_of(1.0, texts=[(1, "a")])]))
