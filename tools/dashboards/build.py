"""Boards as Grafana's dashboard JSON, written by Grafana's own library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tools.dashboards.panels import GRID_COLUMNS, Board, Panel, height_of, lines_of

DATASOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
ROW_HEIGHT: Final = 1

Builder = Any  # the panel builders of the library share methods, but no type


def to_json(board: Board) -> str:
    """The dashboard as Grafana imports it; the same board gives the same text."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags(["speech-to-text"])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_choice("cluster", "Cluster", 'label_values(up{job=~"stt-.*"}, cluster)'))
        .with_variable(_choice("instance", "Instance", 'label_values(up{job=~"stt-.*",cluster=~"$cluster"}, instance)'))
    )
    for part in _placed(board):
        builder = builder.with_row(part) if isinstance(part, dashboard.Row) else builder.with_panel(part)
    return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """A variable whose values are read from Prometheus; all of them are chosen at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(DATASOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _placed(board: Board) -> Iterator[Builder]:
    """Row headings and panels with their ids and places, from the top down."""
    top, number = 0, 1
    for row in board.rows:
        yield dashboard.Row(row.title).id(number).grid_pos(models.GridPos(x=0, y=top, w=GRID_COLUMNS, h=ROW_HEIGHT))
        top, number = top + ROW_HEIGHT, number + 1
        for line in lines_of(row):
            left, height = 0, height_of(line)
            for panel in line:
                place = models.GridPos(x=left, y=top, w=panel.width, h=height)
                yield _panel(panel).id(number).grid_pos(place)
                left, number = left + panel.width, number + 1
            top += height


def _panel(panel: Panel) -> Builder:
    builder = {"timeseries": _lines, "stat": _number, "table": _table, "heatmap": _heatmap}[panel.kind](panel)
    builder = builder.title(panel.title).description(panel.about).unit(panel.unit).datasource(DATASOURCE)
    for index, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + index))
        if panel.kind == "table":
            target = target.format(PromQueryFormat.TABLE).instant()
        elif panel.kind == "heatmap":
            target = target.format(PromQueryFormat.HEATMAP).range()
        elif panel.kind == "stat":
            target = target.instant()
        else:
            target = target.range().exemplar(True)
        builder = builder.with_target(target)
    return builder


def _lines(panel: Panel) -> Builder:
    builder = (
        timeseries.Panel().fill_opacity(20 if panel.stacked else 0).show_points(common_models.VisibilityMode.NEVER)
    )
    builder = builder.min(0) if panel.unit != "percentunit" or panel.maximum is not None else builder
    if panel.maximum is not None:
        builder = builder.max(panel.maximum)
    if panel.stacked:
        builder = builder.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    return builder


def _number(_: Panel) -> Builder:
    return (
        stat.Panel()
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _table(_: Panel) -> Builder:
    return table.Panel()


def _heatmap(_: Panel) -> Builder:
    return (
        heatmap.Panel()
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues"))
    )
