"""Draw the loss curves that `train` writes as CSV."""

import csv
from collections.abc import Sequence
from math import isnan
from pathlib import Path

MEASURES = ("clip", "long", "phones", "ctc", "guidance")
SMOOTH = 9  # lines averaged on either side


def read_curves(path: Path) -> dict[str, list[float]]:
    """Columns of the CSV by name."""
    columns: dict[str, list[float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                columns.setdefault(name, []).append(float(value))
    return columns


def smoothed(values: Sequence[float]) -> list[float]:
    """Running mean over `SMOOTH` values on either side; NaN is left out."""
    out = []
    for at in range(len(values)):
        near = [v for v in values[max(0, at - SMOOTH) : at + SMOOTH + 1] if not isnan(v)]
        out.append(sum(near) / len(near) if near else float("nan"))
    return out


def draw(csv_path: Path, png_path: Path) -> None:
    """Draw every loss over the steps; nothing where there is no line yet."""
    from matplotlib.figure import Figure

    columns = read_curves(csv_path)
    if not columns:
        return
    figure = Figure(figsize=(9, 5), layout="tight")
    axes = figure.subplots()
    for name in MEASURES:
        axes.plot(columns["step"], smoothed(columns[name]), label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("loss, nats")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(png_path, dpi=110)
