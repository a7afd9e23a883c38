from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.cluster.monitor_config import with_webhook
from tests.monitoring.rules import FILES


def run(*words: str) -> str:
    """Run a checker; return what it prints."""
    done = subprocess.run(
        words, cwd=FILES, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_promtool_accepts_the_rules():
    """Every expression and every template; warnings count as errors."""
    assert "SUCCESS" in run("promtool", "check", "rules", "--lint-fatal", "rules.yml")


def test_every_case_of_the_alerts_holds():
    """Each alert fires and is silent where rules_test.yml says so, with these labels and this text."""
    run("promtool", "test", "rules", "rules_test.yml")


def test_promtool_accepts_the_configuration_of_the_containers():
    """With the rules that it names."""
    assert "1 rule files found" in run("promtool", "check", "config", "--lint-fatal", "prometheus.yml")


@pytest.mark.parametrize("url", ["", "https://example.org/a?b=c&d=\"e'"])
def test_amtool_accepts_the_routes_with_and_without_a_webhook(url, tmp_path: Path):
    """As it is, with a URL in its place, and without the webhooks."""
    run("amtool", "check-config", "alertmanager.yml")
    changed = tmp_path / "alertmanager.yml"
    changed.write_text(with_webhook((FILES / "alertmanager.yml").read_text(), url))
    assert "2 receivers" in run("amtool", "check-config", str(changed))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [(("severity=page", "alertname=SttNoWorker"), "page"), (("severity=ticket", "alertname=SttSlow"), "ticket")],
)
def test_an_alert_takes_the_route_of_its_severity(labels, receiver):
    """Pages and tickets have receivers of their own."""
    lines = run("amtool", "config", "routes", "test", "--config.file=alertmanager.yml", *labels).splitlines()
    assert lines[-1] == receiver
