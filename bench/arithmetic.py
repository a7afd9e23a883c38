"""Compute the figures of a benchmark from its rounds. Pure.

Throughput is work done over wall-clock time, never derived from latencies. Rounds of the same cell
are pooled: their work is added, their time is added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WINDOW_S = 30.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Round:
    """One period of load on one design.

    Attributes:
        wall_s: from the first request sent to the last answer received.
        latencies_s: of the answers with status 200, including earlier 503s and the waits after them.
        n_busy: answers with status 503; each request was sent again.
        texts: (number of the clip, text) of each answer.
        cpu_s: user and system time of the design's processes.
        driver_cpu_s: of the process that generates the load.
        others_cpu_s: of all other processes on the machine; if it is large, do not trust the wall clock.
        peak_rss_bytes: largest resident memory of the design's processes seen so far.
    """

    wall_s: float
    latencies_s: tuple[float, ...]
    n_busy: int
    texts: tuple[tuple[int, str], ...]
    cpu_s: float
    driver_cpu_s: float
    others_cpu_s: float
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The reported figures of one cell, from all its rounds."""

    n_answers: int
    wall_s: float
    windows_per_s: float
    audio_s_per_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    busy_share: float
    cpu_s_per_window: float
    driver_cpu_share: float
    others_cpu_share: float
    peak_rss_mib: float


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of the values do not exceed (nearest rank); NaN without values.

    Raises:
        ValueError: percent is not from 0 to 100.
    """
    if not 0 <= percent <= 100:  # noqa: PLR2004 - a percentage
        raise ValueError(f"percent {percent} is not from 0 to 100")
    if not values:
        return math.nan
    rank = max(math.ceil(percent / 100 * len(values)), 1)
    return sorted(values)[rank - 1]


def n_windows(clip_s: float) -> int:
    """Return the number of 30 s windows of a clip; a shorter clip is one window."""
    return max(math.ceil(clip_s / WINDOW_S), 1)


def pool(rounds: Sequence[Round], *, clip_s: float, n_cores: int) -> Figures:
    """Return the figures of a cell from its rounds.

    Raises:
        ValueError: there is no round, or no answer in any.
    """
    latencies_s = [latency_s for each in rounds for latency_s in each.latencies_s]
    wall_s = sum(each.wall_s for each in rounds)
    if not latencies_s or wall_s <= 0:
        raise ValueError("nothing was answered: there is nothing to report")
    n_answers = len(latencies_s)
    n_busy = sum(each.n_busy for each in rounds)
    windows = n_answers * n_windows(clip_s)
    machine_s = wall_s * n_cores
    return Figures(
        n_answers=n_answers,
        wall_s=wall_s,
        windows_per_s=windows / wall_s,
        audio_s_per_s=n_answers * clip_s / wall_s,
        p50_s=percentile(latencies_s, 50),
        p95_s=percentile(latencies_s, 95),
        p99_s=percentile(latencies_s, 99),
        busy_share=n_busy / (n_busy + n_answers),
        cpu_s_per_window=sum(each.cpu_s for each in rounds) / windows,
        driver_cpu_share=sum(each.driver_cpu_s for each in rounds) / machine_s,
        others_cpu_share=sum(each.others_cpu_s for each in rounds) / machine_s,
        peak_rss_mib=max(each.peak_rss_bytes for each in rounds) / MIB,
    )


def ratio(ours: float, theirs: float) -> float:
    """Return ours / theirs; NaN if theirs is 0."""
    return ours / theirs if theirs else math.nan


def overhead(service: float, engine: float) -> float:
    """Return the share of the engine's throughput that is lost in the service; below 0 is noise."""
    return 1 - ratio(service, engine)


def identical_share(ours: Sequence[Round], theirs: Sequence[Round]) -> float:
    """Return the share of our answers whose text is the only one that the other design returned for that clip.

    NaN if no clip was answered by both.
    """
    known: dict[int, set[str]] = {}
    for clip, text in (pair for each in theirs for pair in each.texts):
        known.setdefault(clip, set()).add(text)
    compared = [(clip, text) for each in ours for clip, text in each.texts if clip in known]
    if not compared:
        return math.nan
    return sum({text} == known[clip] for clip, text in compared) / len(compared)
