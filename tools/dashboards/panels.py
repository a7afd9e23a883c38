"""What a dashboard is made of, as plain values: rows of panels, and the queries of each panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["timeseries", "stat", "table", "heatmap"]

# Grafana's grid: 24 columns.
GRID_COLUMNS: Final = 24
HEIGHT: Final = 8
NUMBERS_HEIGHT: Final = 4

CHOSEN: Final = 'cluster=~"$cluster",instance=~"$instance"'
CLUSTER: Final = 'cluster=~"$cluster"'


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression, and how its series are named in the legend."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        unit: Grafana's id of the unit: "s", "percentunit", "short", "bytes", "reqps" ...
        about: what a reader should expect to see.
        width: columns of the grid.
        stacked: the series add up to a meaningful whole.
        maximum: the upper end of the axis, where there is one.
    """

    title: str
    unit: str
    queries: tuple[Query, ...]
    about: str
    kind: Kind = "timeseries"
    width: int = 8
    stacked: bool = False
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A heading, and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; `uid` is its address in Grafana and the name of its file."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Every panel, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)


def lines_of(row: Row) -> list[list[Panel]]:
    """The panels of a row, line by line: one that does not fit any more begins the next line."""
    lines: list[list[Panel]] = [[]]
    for panel in row.panels:
        if sum(each.width for each in lines[-1]) + panel.width > GRID_COLUMNS:
            lines.append([])
        lines[-1].append(panel)
    return lines


def height_of(line: Sequence[Panel]) -> int:
    """Lines of Grafana's grid; single numbers need less room."""
    return NUMBERS_HEIGHT if all(panel.kind == "stat" for panel in line) else HEIGHT


def quantiles(
    metric: str, *, by: str = "", labels: str = CHOSEN, of: tuple[float, ...] = (0.5, 0.95)
) -> tuple[Query, ...]:
    """Quantiles of a histogram over all instances, for each value of the label `by`."""
    groups, name = ("le, " + by, "{{" + by + "}} ") if by else ("le", "")
    rate = f"sum by ({groups}) (rate({metric}_bucket{{{labels}}}[$__rate_interval]))"
    return tuple(Query(f"histogram_quantile({q}, {rate})", f"{name}p{round(q * 100)}") for q in of)


def rate(metric: str, *, by: str = "", labels: str = CHOSEN, legend: str = "") -> Query:
    """The increase of a counter each second, summed; for each value of the label `by`."""
    grouping = f" by ({by})" if by else ""
    name = legend or " ".join("{{" + label.strip() + "}}" for label in by.split(",") if label)
    return Query(f"sum{grouping} (rate({metric}{{{labels}}}[$__rate_interval]))", name)
