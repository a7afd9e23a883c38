from __future__ import annotations

import re

import httpx
import pytest

from tests.clients import MODEL, tone_wav, upload
from tests.monitoring.known import OWN_LABELS, OWN_METRICS, Known, of_mtail
from tests.monitoring.rules import Selector, recorded, rules, run_book_queries, selectors
from tools.dashboards.__main__ import BOARDS
from tools.dashboards.panels import Panel, Query
from tools.dashboards.queries import queries_of, resolved

# NVIDIA's dcgm-exporter runs only where there is a GPU; these metrics and labels are those of its default counters.
FOREIGN = {"DCGM_FI_DEV_GPU_UTIL": {"Hostname", "gpu"}, "DCGM_FI_DEV_FB_USED": {"Hostname", "gpu"}}
PANELS = [(panel, query) for board in BOARDS for panel, query in queries_of(board)]
EACH_PANEL = pytest.mark.parametrize(("panel", "query"), PANELS, ids=lambda each: getattr(each, "title", ""))


@pytest.fixture(scope="module")
def known(full_cluster) -> Known:
    """What a worker, a gateway and a collector show after one realtime request, and what mtail counts."""
    answer = httpx.post(
        full_cluster.transcriptions, data={**MODEL, "transcription_tier": "realtime"}, files=upload(tone_wav(1.0))
    )
    assert answer.status_code == 200, answer.text
    found = of_mtail()
    ports = full_cluster.status()["ports"]
    for member in ("worker-1", "gateway-1", "collector-1"):
        found.add(httpx.get(f"http://127.0.0.1:{ports[member]}/metrics").text)
    return found


@pytest.mark.parametrize("query", run_book_queries())
def test_a_query_of_the_run_book_asks_for_metrics_that_exist(query, known):
    """Nobody should find a misspelt one at night."""
    for selector in selectors(query):
        assert selector.metric in {*known.labels, *recorded(), *OWN_METRICS, "ALERTS"}
        labels = known.labels.get(selector.metric, set())
        assert not labels or {name for name, _ in selector.labels} <= labels | OWN_LABELS


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_that_exist(rule, known):
    """Each is shown by a running process, counted by mtail, recorded by another rule, or made by Prometheus."""
    for selector in selectors(rule["expr"]):
        assert selector.metric in {*known.labels, *recorded(), *OWN_METRICS}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_labels_and_buckets_that_exist(rule, known):
    """A misspelt label selects nothing for ever, as does le="3" where the process writes le="3.0"."""
    for selector in selectors(rule["expr"]):
        assert_selects(selector, known)


@EACH_PANEL
def test_a_panel_asks_for_metrics_that_exist(panel: Panel, query: Query, known):
    """A misspelt one would be an empty panel, which looks like a quiet service."""
    for selector in selectors(resolved(query)):
        assert selector.metric in known.labels.keys() | FOREIGN.keys(), panel.title


@EACH_PANEL
def test_a_panel_asks_for_labels_and_buckets_that_exist(panel: Panel, query: Query, known):
    """In its selections, its sums and its legend."""
    found = selectors(resolved(query))
    for selector in found:
        assert_selects(selector, known)
    shown = [FOREIGN.get(each.metric) or known.labels.get(each.metric, set()) for each in found]
    if all(shown):
        assert named_in(query) <= set[str]().union(*shown) | OWN_LABELS, panel.title


def assert_selects(selector: Selector, known: Known) -> None:
    """Each label and each bucket that the selector names is in the metric."""
    # A metric without a value yet, such as a counter of errors by reason, shows no labels either.
    labels = known.labels.get(selector.metric) or {name for name, _ in selector.labels}
    for name, value in selector.labels:
        assert name in labels | OWN_LABELS, selector
        if name == "le":
            assert value in known.buckets[selector.metric], selector


def named_in(query: Query) -> set[str]:
    """Return the labels by which a query groups or matches series, and those of its legend."""
    groups = re.findall(r"\b(?:by|on|group_left) ?\(([\w, ]*)\)", query.expr)
    return {name for group in groups for name in group.split(", ")} | set(re.findall(r"{{(\w+)}}", query.legend))
