from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.monitoring.rules import CASES, FILES, ROOT, alerts, rules, run_book_queries, selectors

ALERTS = [rule["alert"] for rule in alerts()]


@pytest.mark.parametrize("alert", alerts(), ids=ALERTS)
def test_an_alert_says_whom_it_wakes_and_what_to_do(alert):
    """Its severity is page or ticket, its summary is a sentence, and the run book has a section of its name."""
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert set(alert["annotations"]) == {"summary", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{alert['alert'].lower()}"
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert headings.count(alert["alert"]) == 1


def test_the_run_book_describes_no_other_alert():
    """Each of its sections that is named like an alert belongs to one."""
    headings = re.findall(r"^### (Stt\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert headings == sorted(headings)
    assert sorted(headings) == sorted(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_section_has_the_meaning_the_first_look_and_the_remedy(alert):
    """In this order, each once."""
    section = (ROOT / "docs" / "operations.md").read_text().partition(f"\n### {alert}\n")[2]
    section = re.split(r"^#+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    assert re.findall(r"^\*\*(\w+):\*\* ", section, re.MULTILINE) == ["Meaning", "Look", "Do"]


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_case_that_fires_and_one_that_is_silent(alert):
    """Both are in rules_test.yml, named after the alert; the first expects alerts, the second none."""
    fires = [case for case in CASES if case["name"].startswith(f"{alert} fires: ")]
    silent = [case for case in CASES if case["name"].startswith(f"{alert} is silent: ")]
    assert fires
    assert silent
    for case in fires:
        assert any(each["alertname"] == alert and each["exp_alerts"] for each in case["alert_rule_test"])
    for case in silent:
        expected = [each for each in case["alert_rule_test"] if each["alertname"] == alert]
        assert expected
        assert not any(each["exp_alerts"] for each in expected)


@pytest.mark.parametrize("alert", [rule["alert"] for rule in alerts() if "for" in rule])
def test_an_alert_waits_for_as_long_as_it_says(alert):
    """The case that fires looks earlier, too, while the alert is pending, and expects silence."""
    case = next(case for case in CASES if case["name"].startswith(f"{alert} fires: "))
    looks = [each["exp_alerts"] for each in case["alert_rule_test"] if each["alertname"] == alert]
    assert looks[0] == []
    assert looks[1]


def test_an_idle_cluster_is_silent():
    """One case has a healthy cluster without traffic, and expects silence of every alert."""
    (case,) = [case for case in CASES if case["name"].startswith("Every alert is silent: ")]
    assert [each["alertname"] for each in case["alert_rule_test"]] == ALERTS
    assert not any(each["exp_alerts"] for each in case["alert_rule_test"])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_expression_parses_and_keeps_the_cluster(rule):
    """A sum without the cluster would add up clusters that share a Prometheus, and no inhibition would match."""
    assert selectors(rule["expr"])
    for grouping in re.findall(r"\b(?:sum|max|min|avg|count)\b(?: by \(([\w, ]*)\))?\s*\(", rule["expr"]):
        assert "cluster" in grouping.split(", ")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_no_window_is_shorter_than_two_minutes(rule):
    """With a scrape every 15 or 30 s a rate over less has gaps whenever one scrape is missed."""
    seconds = {"m": 60, "h": 3600, "d": 86400}
    for number, unit in re.findall(r"\[(\d+)([mhd])\]", rule["expr"]):
        assert int(number) * seconds[unit] >= 120


def test_the_walk_sees_every_selection():
    """A rule over nothing would hold: selections in functions, groups, subqueries and on both sides are found."""
    found = selectors(
        '-sum(rate(a{x="1"}[5m])) / (b > 0) unless on (c) max_over_time(d[1h:1m]) or topk(2, e offset 1h)'
    )
    assert [selector.metric for selector in found] == ["a", "b", "d", "e"]
    assert found[0].labels == (("x", "1"),)


@pytest.mark.parametrize("query", run_book_queries())
def test_every_query_of_the_run_book_parses(query):
    """Each `q '...'` of docs/operations.md is PromQL."""
    assert selectors(query)


def test_each_job_of_the_rules_is_scraped():
    """prometheus.yml has a job for each pattern of jobs that a rule names."""
    jobs = set(re.findall(r"job_name: ([\w-]+)", (FILES / "prometheus.yml").read_text()))
    assert {"stt-worker", "stt-gateway", "stt-collector", "stt-balancer"} <= jobs
    for rule in rules():
        for selector in selectors(rule["expr"]):
            for label, pattern in selector.labels:
                if label == "job":
                    assert any(re.fullmatch(pattern, job) for job in jobs), pattern


def test_the_files_of_the_chart_are_these():
    """The chart's copies, if it has any, are links to the files here."""
    for link in (ROOT / "deploy" / "helm").rglob("rules.yml"):
        assert link.resolve() == Path(FILES / "rules.yml")
