from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from app.cluster.monitor_config import MonitorLayout, with_webhook

ROOT = Path(__file__).resolve().parents[2]
ROUTES = (ROOT / "deploy" / "monitoring" / "alertmanager.yml").read_text()
LAYOUT = MonitorLayout(
    files=Path("/files"),
    data_dir=Path("/data"),
    targets=Path("/run/prometheus-targets.json"),
    prometheus="/usr/bin/prometheus",
    alertmanager="/usr/bin/alertmanager",
    prometheus_port=9190,
    alertmanager_port=9193,
)


def test_prometheus_reads_the_cluster_s_targets_and_tells_alertmanager():
    """The rules are those of the repository, and the list of targets is the cluster's own."""
    configuration = json.loads(LAYOUT.prometheus_configuration())
    assert configuration["rule_files"] == ["/files/rules.yml"]
    assert configuration["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["127.0.0.1:9193"]}]
    (job,) = configuration["scrape_configs"]
    assert job["file_sd_configs"][0]["files"] == ["/run/prometheus-targets.json"]


def test_both_programs_listen_on_loopback_and_store_in_the_folder():
    """Neither asks for a password, so neither may be reached from elsewhere."""
    for command, port in ((LAYOUT.prometheus_command(), 9190), (LAYOUT.alertmanager_command(), 9193)):
        options = dict(word.removeprefix("--").split("=", 1) for word in command[1:])
        assert options["web.listen-address"] == f"127.0.0.1:{port}"
        assert options["web.external-url"] == f"http://127.0.0.1:{port}"
        assert options["config.file"].startswith("/data/")
        assert next(value for name, value in options.items() if name.startswith("storage.")).startswith("/data/")
    assert "--cluster.listen-address=" in LAYOUT.alertmanager_command()


@pytest.mark.parametrize("url", ["https://example.org/hook", 'http://127.0.0.1:8/a?b=c&d="e" \\ #f'])
def test_every_receiver_gets_the_webhook(url):
    """Whatever is in the URL, YAML reads it back."""
    receivers = yaml.safe_load(with_webhook(ROUTES, url))["receivers"]
    assert [receiver["webhook_configs"][0]["url"] for receiver in receivers] == [url, url]


def test_without_a_url_there_is_no_webhook():
    """The receivers stay, because the routes name them."""
    receivers = yaml.safe_load(with_webhook(ROUTES, ""))["receivers"]
    assert receivers == [{"name": "page"}, {"name": "ticket"}]
