"""Draw runs: latencies over time, their distribution, and throughput by workers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # writes files without a display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from tests.load.arithmetic import BUSY, OK
from tests.load.report import Run


def draw(path: Path, runs: Sequence[Run]) -> None:
    """Write a PNG."""
    figure, (over_time, distribution, throughput) = plt.subplots(1, 3, figsize=(18, 5), layout="constrained")
    try:
        for run in runs:
            _over_time(over_time, run)
            _distribution(distribution, run)
        over_time.set(title="each request", xlabel="seconds since the run began", ylabel="latency (s)")
        distribution.set(title="latency of successes", xlabel="latency (s)", ylabel="share of requests", ylim=(0, 1))
        _throughput(throughput, runs)
        for axes in (over_time, distribution):
            axes.legend(fontsize="small")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
    finally:
        plt.close(figure)


def _over_time(axes: Axes, run: Run) -> None:
    begun_s = min(sample.due_s for sample in run.samples)
    for label, marker, wanted in (("ok", "o", (OK,)), ("busy", "x", BUSY)):
        chosen = [sample for sample in run.samples if sample.status in wanted]
        if chosen:
            axes.plot(
                [sample.due_s - begun_s for sample in chosen], [sample.latency_s for sample in chosen],
                marker, markersize=4, alpha=0.7, label=f"{run.name}: {label}",
            )  # fmt: skip


def _distribution(axes: Axes, run: Run) -> None:
    latencies_s = sorted(sample.latency_s for sample in run.samples if sample.status == OK)
    if latencies_s:
        shares = [(rank + 1) / len(latencies_s) for rank in range(len(latencies_s))]
        axes.step(latencies_s, shares, where="post", label=run.name)


def _throughput(axes: Axes, runs: Sequence[Run]) -> None:
    names = [run.name for run in runs]
    axes.bar(names, [run.summary.audio_s_per_s for run in runs], color="tab:green")
    base = runs[0]
    if len(runs) > 1 and all(run.workers for run in runs):
        ideal = [base.summary.audio_s_per_s * run.workers / base.workers for run in runs]
        axes.plot(names, ideal, "k--", label="if every worker added as much as the first")
        axes.legend(fontsize="small")
    axes.set(title="throughput", ylabel="seconds of audio per second")
    axes.tick_params(axis="x", rotation=20)
