import re

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.live.metrics import GatewayMetrics


def test_answers_are_counted_by_outcome():
    """Each request is counted once; only a transcript counts in the duration."""
    metrics = GatewayMetrics()
    metrics.answered("ok", 0.4)
    metrics.answered("busy", 0.01)
    text = metrics.render()[0].decode()
    assert 'wsgw_upstream_requests_total{outcome="ok"} 1.0' in text
    assert "wsgw_upstream_seconds_count 1.0" in text


def test_names_have_the_prefix_and_help_texts():
    """Every metric begins with wsgw_ and has a help text; those that every process has keep their own names."""
    text = GatewayMetrics().render()[0].decode()
    names = re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)
    assert len(names) > 15
    assert all(name.startswith(("wsgw_", "process_", "python_gc_")) and words for name, words in names)


def test_every_label_value_is_there_from_the_start():
    """A fresh gateway shows each counter at 0, so that an alert sees the first error; nothing ends in _created."""
    text = GatewayMetrics(revision="abc").render()[0].decode()
    for series in (
        'wsgw_sessions_total{ending="stuck"}',
        'wsgw_refused_total{reason="unauthorized"}',
        'wsgw_refused_total{reason="address_limit"}',
        'wsgw_refused_total{reason="tier"}',
        'wsgw_committed_words_total{rule="agreed"}',
        'wsgw_upstream_requests_total{outcome="rejected_setup"}',
        'wsgw_dropped_audio_seconds_total{reason="overflow"}',
        'wsgw_dropped_audio_seconds_total{reason="left"}',
        'wsgw_dead_audio_seconds_total{kind="zeros"}',
        'wsgw_published_total{kind="session_end"}',
        'wsgw_publish_dropped_total{reason="backlog"}',
    ):
        assert f"\n{series} 0.0\n" in text
    assert 'wsgw_build_info{revision="abc",version="' in text
    assert "\nprocess_resident_memory_bytes " in text
    assert "_created" not in text


def test_openmetrics_on_request():
    """The Accept header of Prometheus gets OpenMetrics, which the library's own parser reads."""
    body, media_type = GatewayMetrics().render("application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    assert "wsgw_first_text_seconds" in {family.name for family in text_string_to_metric_families(body.decode())}


def test_two_gateways_in_one_process():
    """Registries are not shared."""
    first, second = GatewayMetrics(), GatewayMetrics()
    first.received_s.inc(5)
    assert "wsgw_audio_received_seconds_total 0.0" in second.render()[0].decode()
