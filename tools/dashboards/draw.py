"""Draw a board from a running Prometheus, as Grafana would: `python -m tools.dashboards.draw --prometheus URL ...`.

For the pictures in the documentation: no Grafana is needed. Heat maps are drawn as the median, tables as text.
"""

from __future__ import annotations

import argparse
import json
import math
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from tools.dashboards.__main__ import BOARDS
from tools.dashboards.panels import GRID_COLUMNS, Board, Panel, Query, Row
from tools.dashboards.queries import resolved

STEP_S: Final = 5
LINE_HEIGHT_IN: Final = 2.3
WIDTH_IN: Final = 16
_MEBIBYTE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a panel: its name in the legend, times in minutes from the start, values."""

    name: str
    minutes: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A Prometheus, and the time to show, in Unix seconds."""

    url: str
    start_s: float
    end_s: float

    def series(self, query: Query, *, window: str) -> list[Series]:
        """What a query returns over the time, one series for each combination of labels."""
        parameters = {
            "query": resolved(query, window=window, span=f"{max(1, round(self.end_s - self.start_s))}s"),
            "start": self.start_s,
            "end": self.end_s,
            "step": STEP_S,
        }
        address = f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - the address of the caller's Prometheus
            result = json.load(answer)["data"]["result"]
        return [self._series(query, each) for each in result]

    def _series(self, query: Query, result: Mapping[str, Any]) -> Series:
        points = [(float(at), float(value)) for at, value in result["values"]]
        finite = [((at - self.start_s) / 60, value) for at, value in points if math.isfinite(value)]
        return Series(
            _legend(query, result["metric"]), tuple(at for at, _ in finite), tuple(value for _, value in finite)
        )


def draw(board: Board, source: Source, path: Path, *, window: str = "1m") -> None:
    """Write a picture of the board."""
    mpl.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    lines = sum(len(_lines_of(row)) for row in board.rows)
    figure = Figure(figsize=(WIDTH_IN, LINE_HEIGHT_IN * lines + 0.6), layout="constrained")
    at = datetime.fromtimestamp(source.start_s, UTC).strftime("%Y-%m-%d %H:%M")
    figure.suptitle(f"{board.title} ({at} UTC)", fontsize=11, fontweight="bold")
    grid = figure.add_gridspec(lines, GRID_COLUMNS)
    index = 0
    for row in board.rows:
        for line in _lines_of(row):
            column = 0
            for panel in line:
                axes = figure.add_subplot(grid[index, column : column + panel.width])
                _panel(axes, panel, [each for query in panel.queries for each in source.series(query, window=window)])
                column += panel.width
            index += 1
    figure.savefig(path, dpi=80)


def _lines_of(row: Row) -> list[list[Panel]]:
    """The panels of a row, line by line."""
    lines: list[list[Panel]] = [[]]
    for panel in row.panels:
        if sum(each.width for each in lines[-1]) + panel.width > GRID_COLUMNS:
            lines.append([])
        lines[-1].append(panel)
    return lines


def _panel(axes: Axes, panel: Panel, series: Sequence[Series]) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9, fontweight="bold")
    shown = [each for each in series if each.values]
    if panel.kind in ("stat", "table"):
        _text(axes, panel, shown)
        return
    if not shown:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", color="grey", transform=axes.transAxes)
        axes.set_axis_off()
        return
    if panel.stacked and len({each.minutes for each in shown}) == 1:
        axes.stackplot(
            shown[0].minutes, [each.values for each in shown], labels=[each.name for each in shown], alpha=0.7
        )
    else:
        for each in shown:
            axes.plot(each.minutes, each.values, label=each.name, linewidth=1.2)
    axes.set_ylim(bottom=0, top=panel.maximum)
    axes.grid(alpha=0.25)
    axes.yaxis.set_major_formatter(_formatter(panel.unit))
    axes.legend(fontsize=6, loc="upper left", framealpha=0.6, ncols=1 if len(shown) < 5 else 2)  # noqa: PLR2004 - fits


def _text(axes: Axes, panel: Panel, series: Sequence[Series]) -> None:
    axes.set_axis_off()
    write = _formatter(panel.unit)
    lines = [each.name if panel.kind == "table" else f"{write(each.values[-1])}  {each.name}" for each in series]
    size = 9 if panel.kind == "table" else 15
    axes.text(0.02, 0.5, "\n".join(lines) or "no data", fontsize=size, va="center", transform=axes.transAxes)


def _formatter(unit: str) -> FuncFormatter | PercentFormatter:
    if unit == "percentunit":
        return PercentFormatter(xmax=1, decimals=1)
    if unit == "bytes":
        return FuncFormatter(lambda value, _: f"{value / _MEBIBYTE:.0f} MiB")
    suffix = {"s": " s", "h": " h", "reqps": "/s", "percent": " %"}.get(unit, "")
    return FuncFormatter(lambda value, _: f"{value:.3g}{suffix}")


def _legend(query: Query, labels: Mapping[str, str]) -> str:
    name = query.legend
    for label, value in labels.items():
        name = name.replace("{{" + label + "}}", value)
    return name or ", ".join(labels.values())


def main() -> None:
    """Draw every board."""
    parser = argparse.ArgumentParser(prog="python -m tools.dashboards.draw", description=__doc__)
    parser.add_argument("--prometheus", required=True, help="its URL")
    parser.add_argument("--minutes", type=float, required=True, help="how far to look back")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--window", default="30s", help="what $__rate_interval stands for")
    arguments = parser.parse_args()
    now_s = datetime.now(UTC).timestamp()
    source = Source(arguments.prometheus, now_s - arguments.minutes * 60, now_s)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        path = arguments.out / f"{board.uid}.png"
        draw(board, source, path, window=arguments.window)
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
