"""Grafana's dashboards: their files are current, and every panel can be trusted in somebody else's Grafana."""

from __future__ import annotations

import json
import re
from typing import Any

import promql_parser
import pytest

from tools.dashboards.__main__ import BOARDS, file_of
from tools.dashboards.build import to_json
from tools.dashboards.panels import GRID_COLUMNS, Board, Query
from tools.dashboards.queries import queries_of, resolved

EACH_BOARD = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)


def panels_of(board: Board) -> list[dict[str, Any]]:
    """The panels of the file that Grafana imports, without the headings of rows."""
    return [panel for panel in json.loads(file_of(board).read_text())["panels"] if panel["type"] != "row"]


@EACH_BOARD
def test_the_files_are_what_the_program_writes(board: Board):
    """Nobody edits the JSON by hand: it equals what `python -m tools.dashboards` writes."""
    assert file_of(board).read_text() == to_json(board)


@EACH_BOARD
def test_every_panel_asks_the_chosen_data_source(board: Board):
    """No uid of somebody's own Grafana is in a file: the data source is a variable of the dashboard."""
    variables = {each["name"] for each in json.loads(file_of(board).read_text())["templating"]["list"]}
    assert variables == {"datasource", "cluster", "instance"}
    assert {panel["datasource"]["uid"] for panel in panels_of(board)} == {"${datasource}"}


@EACH_BOARD
def test_every_panel_has_a_unit_and_says_what_it_shows(board: Board):
    """A number without a unit is a riddle, and each title is unique."""
    panels = panels_of(board)
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
    assert all(panel["description"].endswith(".") for panel in panels)
    assert len({panel["title"] for panel in panels}) == len(panels)


@EACH_BOARD
def test_panels_have_unique_ids_and_do_not_overlap(board: Board):
    """Each cell of the grid belongs to at most one panel or heading."""
    panels = json.loads(file_of(board).read_text())["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < GRID_COLUMNS
    assert len({panel["id"] for panel in panels}) == len(panels)


@EACH_BOARD
def test_every_query_parses_and_is_limited_to_the_chosen_cluster(board: Board):
    """Prometheus accepts each query, and no panel mixes two clusters unless both are chosen."""
    for panel, query in queries_of(board):
        promql_parser.parse(resolved(query))
        assert "$cluster" in query.expr or "DCGM_" in query.expr, panel.title


@EACH_BOARD
def test_rates_use_the_interval_that_grafana_chooses(board: Board):
    """A fixed window is empty when one zooms out, or when the scrape interval is longer than it."""
    fixed = re.compile(r"(?:^|[^_])rate\([^()]*\[(?!\$__rate_interval)")
    assert not [panel.title for panel, query in queries_of(board) if fixed.search(query.expr)]


def test_variables_are_replaced_for_prometheus():
    """What Grafana would put into a query is there when Prometheus is asked directly."""
    query = Query('increase(a{cluster=~"$cluster",instance=~"$instance"}[$__range]) + rate(a[$__rate_interval])')
    expected = 'increase(a{cluster=~".*",instance=~".*"}[9m]) + rate(a[2m])'
    assert resolved(query, window="2m", span="9m") == expected
