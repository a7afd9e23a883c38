from __future__ import annotations

from app.collector.health import Health
from app.collector.metrics import CollectorMetrics
from app.collector.rows import Applied
from tests.collector.clock import FakeClock


async def test_results_are_counted():
    """Segments by kind, conflicts, and dead letters by reason."""
    metrics = CollectorMetrics(Health(FakeClock().monotonic, lag_alarm_s=60))
    metrics.applied(Applied(counts={"new": 2, "same": 1}, conflicts=1))
    metrics.applied(Applied(counts={"new": 3}))
    metrics.dead("poison")
    text = metrics.render()[0].decode()
    assert 'collector_segments_total{kind="new"} 5.0' in text
    assert 'collector_segments_total{kind="same"} 1.0' in text
    assert "collector_conflicts_total 1.0" in text
    assert 'collector_dead_letters_total{reason="poison"} 1.0' in text


async def test_unknown_lag_is_left_out():
    """The gauges follow the health state; a lag that nobody knows is not 0."""
    clock = FakeClock()
    health = Health(clock.monotonic, lag_alarm_s=60)
    metrics = CollectorMetrics(health)
    health.tick("consumer")
    await clock.advance(4)
    assert 'collector_loop_age_seconds{loop="consumer"} 4.0' in metrics.render()[0].decode()
    assert "\ncollector_lag_seconds " not in metrics.render()[0].decode()
    health.lag_s = 2.5
    assert "\ncollector_lag_seconds 2.5" in metrics.render()[0].decode()


async def test_every_label_value_is_there_from_the_start():
    """A fresh collector shows its counters at 0, the process and the build; nothing ends in _created."""
    text = CollectorMetrics(Health(FakeClock().monotonic, lag_alarm_s=60), revision="abc").render()[0].decode()
    for series in (
        'collector_segments_total{kind="tombstoned"}',
        'collector_segments_total{kind="promoted"}',
        'collector_dead_letters_total{reason="poison"}',
        'collector_live_clients{kind="sse"}',
        'collector_live_clients{kind="websocket"}',
        "collector_event_loop_lag_seconds",
    ):
        assert f"\n{series} 0.0\n" in text
    assert 'collector_build_info{revision="abc",version="' in text
    assert "\nprocess_resident_memory_bytes " in text
    assert "_created" not in text
