"""Report runs as a table, as a finding, and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.load.arithmetic import Sample, Summary, efficiency, percentile
from tests.load.live import LiveStream

GOOD_EFFICIENCY = 0.8

Streams = Sequence[LiveStream]


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run.

    Attributes:
        name: what was done, for people.
        workers: how many workers served; 0 = not known.
        load: callers, or requests per second.
        streams: only in live mode.
    """

    name: str
    workers: int
    load: float
    summary: Summary
    samples: Sequence[Sample]
    streams: Sequence[LiveStream] = ()


HEAD = (
    f"{'run':<22} {'ok':>6} {'busy':>6} {'failed':>6} {'req/s':>7} {'audio s/s':>9} "
    f"{'p50 s':>7} {'p95 s':>7} {'p99 s':>7} {'RTF':>6} {'in flight':>9} {'WER':>6} {'changed':>7}"
)


def table(runs: Sequence[Run]) -> str:
    """Return one line per run."""
    return "\n".join([HEAD, "-" * len(HEAD), *(_row(run) for run in runs)])


def _row(run: Run) -> str:
    summary, latency = run.summary, run.summary.latency
    times = [f"{value:7.2f}" for value in (latency.p50_s, latency.p95_s, latency.p99_s)] if latency else ["      -"] * 3
    factor = "-" if summary.real_time_factor is None else f"{summary.real_time_factor:.2f}"
    errors = "-" if summary.word_error_rate is None else f"{summary.word_error_rate:.1%}"
    return (
        f"{run.name:<22} {summary.ok:>6} {summary.busy:>6} {summary.failed:>6} {summary.requests_per_s:>7.2f} "
        f"{summary.audio_s_per_s:>9.2f} {' '.join(times)} {factor:>6} {summary.in_flight:>9.2f} "
        f"{errors:>6} {summary.changed_texts:>7}"
    )


def statuses(summary: Summary) -> str:
    """Return the counts by status as text."""
    names = {0: "no answer"}
    return ", ".join(f"{names.get(status, str(status))}: {count}" for status, count in summary.counts.items())


def live_lines(streams: Sequence[LiveStream]) -> list[str]:
    """Return what the speakers of live streams notice: losses and lag."""
    transcribed_s, lost_s = sum(s.transcribed_s for s in streams), sum(s.lost_s for s in streams)
    lags_s = [lag for stream in streams for lag in stream.lags_s]
    share = lost_s / (transcribed_s + lost_s) if transcribed_s + lost_s else 0.0
    lines = [f"{len(streams)} live streams: {transcribed_s:.0f} s transcribed, {lost_s:.1f} s lost ({share:.1%})"]
    if lags_s:
        lines.append(f"age of the oldest audio at its transcript: p50 {percentile(lags_s, 0.5):.1f} s, "
                     f"p95 {percentile(lags_s, 0.95):.1f} s")  # fmt: skip
    return lines


def scaling_lines(runs: Sequence[Run], *, cores: int) -> list[str]:
    """Return the scaling table and its finding. The first run is the base."""
    base = runs[0]
    base_per_s = base.summary.requests_per_s / max(1, base.workers)
    lines = [
        f"{'workers':>7} {'callers':>7} {'req/s':>7} {'audio s/s':>9} {'speed-up':>8} {'efficiency':>10} {'p95 s':>7}"
    ]
    for run in runs:
        latency = run.summary.latency
        share = efficiency(run.summary.requests_per_s, run.workers, base_per_s=base_per_s)
        speed_up = share * run.workers / max(1, base.workers)
        lines.append(
            f"{run.workers:>7} {run.load:>7.0f} {run.summary.requests_per_s:>7.2f} {run.summary.audio_s_per_s:>9.2f} "
            f"{speed_up:>7.2f}x {share:>10.0%} {latency.p95_s if latency else 0:>7.2f}"
        )
    last = runs[-1]
    share = efficiency(last.summary.requests_per_s, last.workers, base_per_s=base_per_s)
    return [*lines, "", _finding(base.workers, last.workers, share, cores)]


def _finding(first: int, last: int, share: float, cores: int) -> str:
    gain = share * last / max(1, first)
    said = f"finding: {last} workers did {gain:.2f} times the work of {first} ({share:.0%} efficiency). "
    if share >= GOOD_EFFICIENCY:
        return said + "The workers scale here."
    if last >= cores:
        return said + (
            f"This machine has {cores} cores, which all workers and the load test share: the cores are the limit, "
            "not the balancer. More workers pay only with more cores or GPUs; here they buy availability."
        )
    return said + f"Cores ({cores}) are not the limit: look at memory bandwidth, the GPU, or the network."


def as_json(runs: Sequence[Run], *, settings: dict[str, Any]) -> dict[str, Any]:
    """Return everything as JSON data, including each request."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "settings": settings,
        "runs": [
            {
                "name": run.name,
                "workers": run.workers,
                "load": run.load,
                "summary": {**asdict(run.summary), "total": run.summary.total},
                "live": [{"transcribed_s": stream.transcribed_s, "lost_s": stream.lost_s} for stream in run.streams],
                "requests": [asdict(sample) for sample in run.samples],
            }
            for run in runs
        ],
    }


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write it as indented JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
