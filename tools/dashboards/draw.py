"""Draw the boards from a running Prometheus: `python -m tools.dashboards.draw --prometheus URL --minutes 5 --out docs`.

For the pictures in the documentation, where no Grafana is needed. Layout, queries, units and legends are the boards'
own; a legend leaves out the series that were 0 all the time, and says how many they are.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator
from PIL import Image

from tools.dashboards.__main__ import BOARDS
from tools.dashboards.panels import GRID_COLUMNS, Board, Panel, lines_of
from tools.dashboards.series import Series, Source, bucket_counts
from tools.dashboards.units import byte_step, formatter, written

WIDTH_IN: Final = 16
TITLE_IN: Final = 0.45
HEADING_IN: Final = 0.4
LINE_IN: Final = 2.3
SHORT_LINE_IN: Final = 0.8  # numbers and tables
# Around the axes of a panel: its title above, marks and legend below, the marks of its axis on the left.
ABOVE_IN, BELOW_IN, LEFT_IN, RIGHT_IN = 0.25, 0.68, 0.62, 0.15
DPI: Final = 80
COLOURS: Final = 256
STYLE: Final[dict[Any, Any]] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
}
TAB10: Final = 10
LEGEND_COLUMNS: Final = 3
LONG_NAME: Final = 20  # characters; two of them fit beside each other


def draw(board: Board, source: Source, path: Path, *, window: str) -> None:
    """Write a picture of the board; `window` is what $__rate_interval stands for."""
    lines = [(row, line) for row in board.rows for line in lines_of(row)]
    height_in = TITLE_IN + HEADING_IN * len(board.rows) + sum(_height_in(line) for _, line in lines)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, height_in))
        begin = datetime.fromtimestamp(source.start_s, UTC).strftime("%Y-%m-%d %H:%M")
        title = f"{board.title} (minutes since {begin} UTC)"
        figure.text(0.01, 1 - 0.3 / height_in, title, fontsize=12, fontweight="bold")
        top_in, heading = height_in - TITLE_IN, None
        for row, line in lines:
            if row is not heading:
                heading, top_in = row, top_in - HEADING_IN
                figure.text(
                    0.01, (top_in + 0.1) / height_in, row.title, fontsize=11, fontweight="bold", color="#1f60c4"
                )
            top_in -= _height_in(line)
            for panel, axes in _cells(figure, line, top_in):
                found = [each for query in panel.queries for each in source.series(query, window=window)]
                _panel(axes, panel, [each for each in found if each.has_data])
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """As a PNG of few colours, a third of the size."""
    whole = io.BytesIO()
    figure.savefig(whole, dpi=DPI)
    Image.open(whole).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def _height_in(line: Sequence[Panel]) -> float:
    return SHORT_LINE_IN if all(panel.kind in {"stat", "table"} for panel in line) else LINE_IN


def _cells(figure: Figure, line: Sequence[Panel], bottom_in: float) -> Iterator[tuple[Panel, Axes]]:
    """Each panel of a line with its axes; `bottom_in` is the lower end of the line."""
    width_in, height_in = figure.get_size_inches()
    left = 0
    for panel in line:
        column_in = width_in / GRID_COLUMNS
        plain = panel.kind in {"stat", "table"}
        x = left * column_in + (RIGHT_IN if plain else LEFT_IN)
        y = bottom_in + (0 if plain else BELOW_IN)
        right_in, above_in = (left + panel.width) * column_in - RIGHT_IN, bottom_in + _height_in(line) - ABOVE_IN
        place = (x / width_in, y / height_in, (right_in - x) / width_in, (above_in - y) / height_in)
        yield panel, figure.add_axes(place)
        left += panel.width


def _panel(axes: Axes, panel: Panel, series: Sequence[Series]) -> None:
    axes.set_title(panel.title, loc="left", fontweight="bold")
    if panel.kind in {"stat", "table"}:
        _text(axes, panel, series)
    elif not series:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", color="grey", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
    elif panel.kind == "heatmap":
        _heat_map(axes, series)
    else:
        _lines(axes, panel, series)


def _text(axes: Axes, panel: Panel, series: Sequence[Series]) -> None:
    """Write the last value of each series, or of a table only the names."""
    axes.set_axis_off()
    if panel.kind == "table":
        lines, size = [each.name for each in series if each.is_current], 9
    else:
        named = len(series) > 1
        lines = [f"{written(each.last, panel.unit)}{f' {each.name}' if named else ''}" for each in series]
        size = 15
    text = ("\n" if panel.kind == "table" else "    ").join(lines)
    axes.text(0.02, 0.5, text or "no data", fontsize=size, va="center", transform=axes.transAxes)


def _lines(axes: Axes, panel: Panel, series: Sequence[Series]) -> None:
    moved = [each for each in series if np.nanmax(np.abs(each.values)) > 0]
    shown = moved or series[:1]
    colours = mpl.color_sequences["tab20" if len(shown) > TAB10 else "tab10"]
    if panel.stacked:
        values = [np.nan_to_num(each.values) for each in shown]
        axes.stackplot(
            shown[0].minutes, values, labels=[each.name for each in shown], colors=colours, alpha=0.75, linewidth=0
        )
    else:
        for index, each in enumerate(shown):
            hidden = sum(np.allclose(each.values, other.values, equal_nan=True) for other in shown[index + 1 :])
            colour = colours[index % len(colours)]
            # A line under others of the same values shows at both sides of them.
            axes.plot(each.minutes, each.values, label=each.name, color=colour, linewidth=1.3 + 2 * hidden)
    axes.set_xlim(shown[0].minutes[0], shown[0].minutes[-1])
    axes.set_ylim(bottom=min(0.0, *(float(np.nanmin(each.values)) for each in shown)), top=panel.maximum)
    if not moved:
        axes.set_ylim(top=1)
    axes.grid(alpha=0.25)
    axes.yaxis.set_major_formatter(formatter(panel.unit))
    if panel.unit == "bytes":
        axes.yaxis.set_major_locator(MultipleLocator(byte_step(axes.get_ylim()[1])))
    _legend(axes, [each.name for each in moved], at_zero=len(series) - len(moved))


def _legend(axes: Axes, names: Sequence[str], *, at_zero: int) -> None:
    """Below the panel, so that it hides no line; `at_zero` series are counted, not named."""
    handles, labels = axes.get_legend_handles_labels()
    handles, labels = handles[: len(names)], labels[: len(names)]
    if at_zero:
        handles.append(Line2D([], [], linestyle="none"))
        labels.append(f"and {at_zero} at 0" if names else f"{at_zero} at 0")
    axes.legend(
        handles, labels, fontsize=6.5, loc="upper left", bbox_to_anchor=(-0.04, -0.13), frameon=False,
        ncols=LEGEND_COLUMNS if max(map(len, labels)) <= LONG_NAME else 2,
        handlelength=1.2, columnspacing=1.2, borderaxespad=0,
    )  # fmt: skip


def _heat_map(axes: Axes, series: Sequence[Series]) -> None:
    """The number of observations in each bucket."""
    ordered = sorted(series, key=lambda each: float(each.name))
    counts = bucket_counts(ordered)
    edges = np.arange(len(ordered) + 1)
    minutes = ordered[0].minutes
    step = minutes[1] - minutes[0]
    mesh = axes.pcolormesh(
        [*minutes, minutes[-1] + step], edges, np.ma.masked_less(counts, 0.01), cmap="Blues", vmin=0
    )  # fmt: skip
    axes.set_yticks(edges[1:], ["" if each.name == "+Inf" else each.name for each in ordered], fontsize=6.5)
    axes.set_xlim(minutes[0], minutes[-1])
    axes.figure.colorbar(mesh, ax=axes, pad=0.01, aspect=30, label="requests")


def main() -> None:
    """Draw every board."""
    parser = argparse.ArgumentParser(prog="python -m tools.dashboards.draw", description=__doc__)
    add = parser.add_argument
    add("--prometheus", required=True, help="its URL")
    add("--minutes", type=float, required=True, help="how far to look back")
    add("--end", type=float, help="the last moment to show, in Unix seconds (default now)")
    add("--out", type=Path, required=True, help="folder for the pictures")
    add("--window", default="30s", help="what $__rate_interval stands for (default 30s)")
    arguments = parser.parse_args()
    end_s = datetime.now(UTC).timestamp() if arguments.end is None else arguments.end
    source = Source(arguments.prometheus, end_s - arguments.minutes * 60, end_s)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        path = arguments.out / f"{board.uid.replace('stt-', 'dashboard-')}.png"
        draw(board, source, path, window=arguments.window)
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
