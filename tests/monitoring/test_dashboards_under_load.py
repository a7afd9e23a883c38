from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.cluster.real import TIMEOUT_S, RealCluster, wait_until
from tests.monitoring.mixed_load import cluster_with_keys, mixed_load
from tests.monitoring.test_scrape import answer, monitor
from tools.dashboards.__main__ import BOARDS
from tools.dashboards.panels import Query
from tools.dashboards.queries import queries_of, resolved

PROCESSES = 6  # two workers, two gateways, a collector, mtail
WINDOW = "2m"
# Panels that show nothing here. The query beside each returns something only while the reason for that is true.
EMPTY: Mapping[str, str] = {
    "GPU at work": 'absent(up{job="dcgm"})',  # there is no GPU, so NVIDIA's exporter does not run
    "GPU memory": 'absent(up{job="dcgm"})',
}
# The commit is known in images only, and Prometheus drops a label without a value.
WITHOUT_VALUE = {"revision"}

Series = Mapping[str, Any]
Ask = Callable[[str], list[Series]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """A cluster of every kind of process, with a file of keys."""
    with cluster_with_keys(tmp_path_factory.mktemp("dashboards")) as running:
        yield running


def test_every_query_of_every_panel_returns_data_under_load(cluster):
    """After a mixed load no panel is empty but those of EMPTY, and each label in a legend is in the series."""
    with monitor(cluster) as (url, _):

        def ask(query: str) -> list[Series]:
            found: list[Series] = answer(url, "query", query=query)["result"]
            return found

        # A rate needs a value from before, and some series exist only after their first event: hence two loads.
        wait_until(lambda: len(ask('up{job=~"stt-.*"} == 1')) == PROCESSES)
        asyncio.run(mixed_load(cluster))
        # mtail and the collector see a request last.
        wait_until(lambda: bool(ask("lb_request_seconds_count > 3") and ask("sum(collector_segments_total) > 1")))
        asyncio.run(mixed_load(cluster))
        assert unanswered(ask, [query for board in BOARDS for _, query in queries_of(board)]) == silent_queries()
        for title, reason in EMPTY.items():
            assert ask(reason), title


def silent_queries() -> list[str]:
    """Return the queries of the panels that show nothing here."""
    return [query.expr for board in BOARDS for panel, query in queries_of(board) if panel.title in EMPTY]


def unanswered(ask: Ask, queries: list[Query]) -> list[str]:
    """Ask each query until all have returned data, but for those that must not; return those that never did."""
    left, deadline_s = queries, time.monotonic() + TIMEOUT_S
    while [query.expr for query in left] != silent_queries() and time.monotonic() < deadline_s:
        left = [query for query in left if not has_data(query, ask(resolved(query, window=WINDOW, span=WINDOW)))]
        time.sleep(0.2)
    return [query.expr for query in left]


def has_data(query: Query, found: list[Series]) -> bool:
    """Return whether there is a number; every series must have the labels that the legend names."""
    for series in found:
        assert set(re.findall(r"{{(\w+)}}", query.legend)) <= series["metric"].keys() | WITHOUT_VALUE, query
    return any(math.isfinite(float(series["value"][1])) for series in found)
