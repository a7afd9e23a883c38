"""What Prometheus' own checker says of the metrics of the gateway and of the collector."""

from __future__ import annotations

import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.collector.health import Health
from app.collector.metrics import CollectorMetrics
from app.live.metrics import GatewayMetrics


def collector() -> CollectorMetrics:
    """Return a fresh collector's metrics."""
    return CollectorMetrics(Health(lambda: 0.0, lag_alarm_s=60))


@pytest.mark.parametrize("new", [GatewayMetrics, collector])
def test_promtool_reports_nothing(new):
    """`promtool check metrics` accepts names, types and help texts without a remark."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=new().render()[0], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


@pytest.mark.parametrize("new", [GatewayMetrics, collector])
def test_the_library_parses_openmetrics(new):
    """With Prometheus' Accept header the text is OpenMetrics without a mistake."""
    body, media_type = new().render("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    families = {family.name for family in text_string_to_metric_families(body.decode())}
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    assert {"process_cpu_seconds", "process_open_fds"} <= families
