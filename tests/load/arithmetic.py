"""Statistics of timed requests: rates, latencies, concurrency. Pure.

Rates are counts over wall-clock time, never over the slowest request. Latencies are those of successes only: a busy
answer takes milliseconds and would make an overloaded service look fast. The mean number of requests in flight is
integrated from the intervals themselves, so that Little's law (in flight = rate x latency) checks the rest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OK = 200
BUSY = (503, 429)
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One request, on one clock, in seconds.

    Attributes:
        due_s: when it should have been sent; in an open loop a late start counts as latency.
        started_s, ended_s: when it was sent, and when its answer was complete.
        status: HTTP status; 0 = no answer (timeout, broken connection).
        audio_s: length of the audio, from the file itself.
        errors, words: word errors and words of the reference; 0 words where there is none.
        changed: the text differs from what the idle service wrote for the same file.
    """

    due_s: float
    started_s: float
    ended_s: float
    status: int
    audio_s: float
    errors: int = 0
    words: int = 0
    changed: bool = False

    @property
    def latency_s(self) -> float:
        """Return the time from when the request was due to its answer."""
        return self.ended_s - self.due_s


@dataclass(frozen=True, slots=True)
class Latency:
    """The distribution of the latencies of successful requests, in seconds."""

    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float


@dataclass(frozen=True, slots=True)
class Summary:
    """One run.

    Attributes:
        wall_s: from the first request's due time to the last answer.
        counts: requests by status; 0 = no answer.
        requests_per_s: successes per second of wall clock.
        audio_s_per_s: seconds of audio transcribed per second of wall clock (RTFx of the whole service).
        latency: of successes; None without any.
        real_time_factor: mean of latency / audio length over successes; None without any.
        in_flight: successes in flight, averaged over the wall clock.
        word_error_rate: over the successes that have a reference; None without any.
        changed_texts: successes whose text is not that of the idle service.
    """

    wall_s: float
    counts: dict[int, int]
    requests_per_s: float
    audio_s_per_s: float
    latency: Latency | None
    real_time_factor: float | None
    in_flight: float
    word_error_rate: float | None
    changed_texts: int

    @property
    def total(self) -> int:
        """Return how many requests were made."""
        return sum(self.counts.values())

    @property
    def ok(self) -> int:
        """Return how many succeeded."""
        return self.counts.get(OK, 0)

    @property
    def busy(self) -> int:
        """Return how many got a busy answer."""
        return sum(self.counts.get(status, 0) for status in BUSY)

    @property
    def failed(self) -> int:
        """Return how many neither succeeded nor got a busy answer."""
        return self.total - self.ok - self.busy


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0..1) of all values do not exceed (nearest rank).

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("a percentile of nothing")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def mean_in_flight(intervals: Iterable[tuple[float, float]], wall_s: float) -> float:
    """Return how many intervals were open on average, by sweeping over their ends.

    Args:
        intervals: (begin, end) in seconds.
        wall_s: over which time to average.
    """
    steps = sorted(step for begin, end in intervals for step in ((begin, 1), (end, -1)))
    area_s, open_now, last_s = 0.0, 0, 0.0
    for moment_s, change in steps:
        area_s += open_now * (moment_s - last_s)
        open_now += change
        last_s = moment_s
    return area_s / wall_s if wall_s > 0 else 0.0


def summarise(samples: Sequence[Sample]) -> Summary:
    """Return the statistics of a run.

    Raises:
        ValueError: no samples.
    """
    if not samples:
        raise ValueError("nothing was sent")
    wall_s = max(sample.ended_s for sample in samples) - min(sample.due_s for sample in samples)
    served = [sample for sample in samples if sample.status == OK]
    per_s = 1.0 / wall_s if wall_s > 0 else 0.0
    words = sum(sample.words for sample in served)
    return Summary(
        wall_s=wall_s,
        counts=dict(sorted(Counter(sample.status for sample in samples).items())),
        requests_per_s=len(served) * per_s,
        audio_s_per_s=sum(sample.audio_s for sample in served) * per_s,
        latency=latency_of(served),
        real_time_factor=sum(s.latency_s / s.audio_s for s in served) / len(served) if served else None,
        in_flight=mean_in_flight(((sample.due_s, sample.ended_s) for sample in served), wall_s),
        word_error_rate=sum(sample.errors for sample in served) / words if words else None,
        changed_texts=sum(sample.changed for sample in served),
    )


def latency_of(served: Sequence[Sample]) -> Latency | None:
    """Return the distribution of their latencies; None without any."""
    if not served:
        return None
    values = [sample.latency_s for sample in served]
    return Latency(
        mean_s=sum(values) / len(values),
        p50_s=percentile(values, 0.50),
        p95_s=percentile(values, 0.95),
        p99_s=percentile(values, 0.99),
        max_s=max(values),
    )


def efficiency(requests_per_s: float, workers: int, *, base_per_s: float) -> float:
    """Return the share of n times one worker's rate that n workers reach, at equal load per worker."""
    return requests_per_s / (base_per_s * workers) if base_per_s > 0 else 0.0
