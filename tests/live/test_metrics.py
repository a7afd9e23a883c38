import re

from app.live.metrics import GatewayMetrics


def test_answers_are_counted_by_outcome():
    """Each request is counted once; only a transcript counts in the duration."""
    metrics = GatewayMetrics()
    metrics.answered("ok", 0.4)
    metrics.answered("busy", 0.01)
    text = metrics.text().decode()
    assert 'wsgw_upstream_requests_total{outcome="ok"} 1.0' in text
    assert "wsgw_upstream_seconds_count 1.0" in text


def test_names_have_the_prefix_and_help_texts():
    """Every metric begins with wsgw_ and has a help text."""
    text = GatewayMetrics().text().decode()
    names = re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)
    assert len(names) > 15
    assert all(name.startswith("wsgw_") and words for name, words in names)


def test_two_gateways_in_one_process():
    """Registries are not shared."""
    first, second = GatewayMetrics(), GatewayMetrics()
    first.received_s.inc(5)
    assert "wsgw_audio_received_seconds_total 0.0" in second.text().decode()
