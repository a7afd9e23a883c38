"""Report the cells of a run as a table, as JSON and as a plot."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.arithmetic import MIB, Figures, overhead
from bench.processes import ROOT

RESULTS = ROOT / "bench" / "results"
LIBRARIES = ("ctranslate2", "faster-whisper", "numpy", "onnxruntime", "fastapi", "uvicorn")
COLUMNS = (
    "model", "clip", "clients", "design", "windows/s", "audio s/s", "p50 s", "p95 s", "p99 s", "503", "CPU s/window",
    "peak MiB", "x stock", "x stock CPU", "same text", "others",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CellResult:
    """One design at one load.

    Attributes:
        model: the model's name.
        x_stock: windows/s relative to the plain design in the same cell; None for the plain design itself.
        x_stock_cpu: CPU time per window of the plain design relative to this one's; None for the plain design itself.
        same_text: share of answers that equal the plain design's; None for the plain design itself.
    """

    model: str
    clip_s: float
    clients: int
    design: str
    figures: Figures
    x_stock: float | None
    x_stock_cpu: float | None
    same_text: float | None


def table(results: Sequence[CellResult]) -> str:
    """Return the results as aligned text."""
    rows = [COLUMNS, *(_row(each) for each in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _row(result: CellResult) -> tuple[str, ...]:
    figures = result.figures
    return (
        result.model, f"{result.clip_s:g} s", str(result.clients), result.design, f"{figures.windows_per_s:.2f}",
        f"{figures.audio_s_per_s:.1f}", f"{figures.p50_s:.2f}", f"{figures.p95_s:.2f}", f"{figures.p99_s:.2f}",
        f"{figures.busy_share:.0%}", f"{figures.cpu_s_per_window:.2f}", f"{figures.peak_rss_mib:.0f}",
        "" if result.x_stock is None else f"{result.x_stock:.2f}",
        "" if result.x_stock_cpu is None else f"{result.x_stock_cpu:.2f}",
        "" if result.same_text is None else f"{result.same_text:.0%}",
        f"{figures.others_cpu_share:.0%}",
    )  # fmt: skip


def headlines(results: Sequence[CellResult]) -> dict[str, float]:
    """Return the most important figures by name."""
    by_cell = {(each.model, each.clip_s, each.clients, each.design): each for each in results}
    found: dict[str, float] = {}
    for (model, clip_s, clients, design), result in by_cell.items():
        cell = f"{model}, {clip_s:g} s, {clients} clients"
        if result.x_stock is not None and result.x_stock_cpu is not None:
            found[f"{design} over stock, {cell}"] = result.x_stock
            found[f"CPU of stock over {design}, {cell}"] = result.x_stock_cpu
        engine = by_cell.get((model, clip_s, clients, "engine"))
        if design == "worker" and engine is not None:
            found[f"overhead of the service, {cell}"] = overhead(
                result.figures.windows_per_s, engine.figures.windows_per_s
            )
            found[f"overhead of the service in CPU time, {cell}"] = overhead(
                engine.figures.cpu_s_per_window, result.figures.cpu_s_per_window
            )
    return {name: round(value, 3) for name, value in found.items() if not math.isnan(value)}


def circumstances() -> dict[str, Any]:
    """Return date, commit, machine and library versions of the run."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "command": shlex.join(["python", *(Path(each).name if "/" in each else each for each in sys.orig_argv[1:])]),
        "machine": {
            "cpu": _cpu_name(),
            "cores": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB,
            "kernel": platform.release(),
            "load_before": os.getloadavg()[0],
        },
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def write(results: Sequence[CellResult], facts: dict[str, Any], *, name: str) -> Path:
    """Write `<name>.json` and `<name>.png`; return the path of the former."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {**facts, "headlines": headlines(results), "cells": [asdict(each) for each in results]}
    path.write_text(json.dumps(content, indent=1, allow_nan=False, default=str) + "\n", encoding="utf-8")
    plot(results, path.with_suffix(".png"), title=f"{facts['machine']['cpu']}, {facts['machine']['cores']} cores")
    return path


def plot(results: Sequence[CellResult], path: Path, *, title: str) -> None:
    """Plot throughput and CPU time over the number of clients, one column per model and clip length."""
    import matplotlib as mpl  # noqa: PLC0415 - takes half a second, and only plots need it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    columns = list(dict.fromkeys((each.model, each.clip_s) for each in results))
    designs = list(dict.fromkeys(each.design for each in results))
    figure, axes = plt.subplots(2, len(columns), figsize=(4.2 * len(columns), 7), squeeze=False)
    loads = sorted({each.clients for each in results})
    width = 0.8 / len(designs)
    for column, (model, clip_s) in enumerate(columns):
        for number, design in enumerate(designs):
            cells = [each for each in results if (each.model, each.clip_s, each.design) == (model, clip_s, design)]
            at = [loads.index(each.clients) + (number - (len(designs) - 1) / 2) * width for each in cells]
            style = {"width": width, "label": design, "color": f"C{number}"}
            axes[0][column].bar(at, [each.figures.windows_per_s for each in cells], **style)
            axes[1][column].bar(at, [each.figures.cpu_s_per_window for each in cells], **style)
        axes[0][column].set(title=f"{model}, clips of {clip_s:g} s", ylabel="windows per second")
        axes[1][column].set(xlabel="clients", ylabel="CPU seconds per window")
        for row in axes:
            row[column].set_xticks(range(len(loads)), [str(each) for each in loads])
    axes[0][0].legend()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _git(*arguments: str) -> str:
    """Return git's output; empty outside a repository."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
