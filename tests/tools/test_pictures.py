"""The pictures of the dashboards: what a series is called, which gaps it has, and how numbers are written."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from tools.dashboards.draw import draw
from tools.dashboards.panels import Board, Panel, Query, Row
from tools.dashboards.series import Series, Source, bucket_counts
from tools.dashboards.units import byte_step, written

START_S = 1_767_225_600.0
FOUND = [
    {"metric": {"tier": "b"}, "values": [[START_S, "1"], [START_S + 5, "NaN"], [START_S + 15, "3"]]},
    {"metric": {"tier": "a"}, "values": [[START_S + 10, "+Inf"]]},
]


@pytest.fixture
def source() -> Iterator[Source]:
    """A server that answers every query with FOUND."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": "success", "data": {"result": FOUND}}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Source(f"http://127.0.0.1:{server.server_address[1]}", START_S, START_S + 20)
        server.shutdown()
        thread.join()


def test_a_missing_value_is_a_gap(source):
    """Neither a step without a sample nor NaN nor infinity is a number; series come in the order of their names."""
    first, second = source.series(Query("up", "tier {{tier}} {{revision}}"), window="30s")
    assert (first.name, first.has_data) == ("tier a", False)
    assert (second.name, second.last, second.is_current) == ("tier b", 3.0, False)
    np.testing.assert_array_equal(second.values, [1, np.nan, np.nan, 3, np.nan])
    np.testing.assert_allclose(second.minutes, [0, 5 / 60, 10 / 60, 15 / 60, 20 / 60])


def test_a_heat_map_shows_each_observation_once():
    """A bucket of Prometheus contains all smaller ones; no traffic is 0."""
    minutes = np.arange(2.0)
    smaller = Series("0.1", minutes, np.array([3.0, np.nan]))
    all_of_them = Series("+Inf", minutes, np.array([5.0, np.nan]))
    np.testing.assert_array_equal(bucket_counts([smaller, all_of_them]), [[3, 0], [2, 0]])


@pytest.mark.parametrize("kind", ["timeseries", "stat", "table"])
def test_a_board_becomes_a_png(source, tmp_path, kind):
    """Panels with data, with gaps and with nothing but zeros are drawn."""
    panel = Panel("Requests", "short", (Query("up", "{{tier}}"),), "All of them.", kind=kind, stacked=True)
    draw(Board("id", "Board", "About.", (Row("Row", (panel,) * 4),)), source, tmp_path / "board.png", window="30s")
    assert (tmp_path / "board.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.954321, "percentunit", "95.4 %"),
        (200 * 2**20, "bytes", "200 MiB"),
        (512 * 2**10, "bytes", "512 KiB"),
        (0.25, "s", "0.25 s"),
        (1.5, "reqps", "1.5/s"),
        (3, "short", "3"),
    ],
)
def test_numbers_have_the_unit_of_their_panel(value, unit, text):
    """As Grafana writes them."""
    assert written(value, unit) == text


def test_marks_of_an_axis_of_bytes_are_powers_of_two():
    """So that their text is short: 64 MiB, not 61 MiB."""
    assert byte_step(300 * 2**20) == 64 * 2**20
