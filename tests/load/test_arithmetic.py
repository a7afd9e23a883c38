from __future__ import annotations

import random

import pytest

from tests.load.arithmetic import Sample, efficiency, latency_of, mean_in_flight, percentile, summarise


def sample(
    begin_s: float, end_s: float, status: int = 200, audio_s: float = 2.0, *, errors: int = 0, words: int = 0
) -> Sample:
    """Return a request that was sent when it was due."""
    return Sample(begin_s, begin_s, end_s, status, audio_s, errors, words)


def test_percentiles_are_values_that_occurred():
    """The nearest rank: of 1..100 the 95th percentile is 95, of one value it is that value."""
    values = [float(n) for n in range(1, 101)]
    random.Random(0).shuffle(values)
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.01) == 7.0
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_rates_are_counted_over_the_wall_clock():
    """Four requests of 1 s one after the other are one per second, four at once are four per second."""
    serial = summarise([sample(n, n + 1.0) for n in range(4)])
    parallel = summarise([sample(0.0, 1.0) for _ in range(4)])
    assert (serial.requests_per_s, parallel.requests_per_s) == (1.0, 4.0)
    assert (serial.audio_s_per_s, parallel.audio_s_per_s) == (2.0, 8.0)


def test_latencies_are_those_of_successes():
    """A hundred instant refusals do not change the latency of two successes."""
    summary = summarise([sample(0, 3.0), sample(0, 5.0), *(sample(0, 0.001, 503) for _ in range(100))])
    assert summary.latency is not None
    assert (summary.latency.p50_s, summary.latency.mean_s, summary.latency.max_s) == (3.0, 4.0, 5.0)
    assert (summary.ok, summary.busy, summary.failed, summary.total) == (2, 100, 0, 102)


def test_every_status_is_counted():
    """Busy is 503 or 429; everything else except 200 failed, also no answer."""
    summary = summarise([sample(0, 1, status) for status in (200, 503, 429, 502, 0, 400)])
    assert summary.counts == {0: 1, 200: 1, 400: 1, 429: 1, 502: 1, 503: 1}
    assert (summary.ok, summary.busy, summary.failed) == (1, 2, 3)


def test_a_late_start_counts_as_latency():
    """In an open loop the caller waits from the moment the request was due, not from when it could be sent."""
    late = Sample(due_s=1.0, started_s=4.0, ended_s=5.0, status=200, audio_s=1.0)
    assert late.latency_s == 4.0
    assert summarise([late]).wall_s == 4.0


@pytest.mark.parametrize("seed", range(5))
def test_littles_law_holds(seed):
    """The mean number in flight equals rate times mean latency, whatever the requests were."""
    dice = random.Random(seed)
    samples = []
    for _ in range(dice.randrange(1, 400)):
        begin_s = dice.uniform(0, 100)
        samples.append(sample(begin_s, begin_s + dice.expovariate(1 / 3), dice.choice([200, 200, 503])))
    summary = summarise([*samples, sample(0.0, 1.0)])
    assert summary.latency is not None
    assert summary.in_flight == pytest.approx(summary.requests_per_s * summary.latency.mean_s, rel=1e-9)


def test_in_flight_never_exceeds_the_callers():
    """Four callers without a pause: exactly four in flight."""
    back_to_back = [(n * 0.5, (n + 1) * 0.5) for n in range(10)]
    assert mean_in_flight(back_to_back * 4, 5.0) == pytest.approx(4.0)
    assert mean_in_flight([], 5.0) == 0.0


def test_word_errors_are_summed_before_they_are_divided():
    """Long texts weigh more than short ones; files without a reference are not counted."""
    summary = summarise([sample(0, 1, errors=1, words=2), sample(0, 1, errors=0, words=8), sample(0, 1)])
    assert summary.word_error_rate == 0.1
    assert summarise([sample(0, 1)]).word_error_rate is None


def test_the_real_time_factor_is_the_mean_over_requests():
    """1 s for 2 s of audio and 3 s for 2 s of audio are 1.0 on average."""
    assert summarise([sample(0, 1.0), sample(0, 3.0)]).real_time_factor == 1.0


def test_efficiency_compares_with_as_many_single_workers():
    """Three workers that do what three alone would do are 100 % efficient; the work of one is a third."""
    assert efficiency(30.0, 3, base_per_s=10.0) == 1.0
    assert efficiency(10.0, 3, base_per_s=10.0) == pytest.approx(1 / 3)
    assert efficiency(10.0, 3, base_per_s=0.0) == 0.0


def test_without_a_success_there_is_nothing_to_divide():
    """A run that was only refused has counts, and no latency."""
    summary = summarise([sample(0, 0, 503)])
    assert summary.latency is None
    assert summary.real_time_factor is None
    assert latency_of([]) is None
    with pytest.raises(ValueError, match="nothing"):
        summarise([])
