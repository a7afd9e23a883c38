"""The collector's Prometheus metrics; no label contains anything that a client sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.collector.health import Health
from app.collector.rows import Applied
from app.ops.exposition import new_registry, render

DeadReason = Literal["unusable", "partial", "refused", "poison"]
READER_KINDS: Final = ("websocket", "sse")
SEGMENT_KINDS: Final = ("new", "update", "same", "late", "tombstoned", "promoted")

_SHORT_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LATENCY_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class CollectorMetrics:
    """The metrics of one collector, in their own registry, so that tests can have several."""

    def __init__(self, health: Health, *, revision: str = "") -> None:
        """`revision` is the commit that the image was built from; "" if unknown."""
        self.registry = new_registry("collector", revision=revision)
        r = self.registry
        r.register(_HealthGauges(health))
        self.lag_entries = Gauge(
            "collector_lag_entries",
            "entries that the group has not read; absent while Redis cannot tell",
            ["stream", "group"],
            registry=r,
        )
        self.pending = Gauge("collector_pending", "entries read and not acknowledged", ["stream"], registry=r)
        self.stream_length = Gauge("collector_stream_length", "entries in the stream", ["stream"], registry=r)
        self.batch_s = Histogram("collector_batch_seconds", "time to store one batch", buckets=_SHORT_S, registry=r)
        self.store_latency_s = Histogram(
            "collector_store_latency_seconds",
            "from an entry's arrival in Redis to its commit, by this machine's clock",
            buckets=_LATENCY_S,
            registry=r,
        )
        self.segments = Counter("collector_segments_total", "segments by what became of them", ["kind"], registry=r)
        self.dead_letters = Counter("collector_dead_letters_total", "entries in dead letters", ["reason"], registry=r)
        self.conflicts = Counter(
            "collector_conflicts_total", "finals of a gateway that came again with another text", registry=r
        )
        self.missing = Counter(
            "collector_missing_segments_total", "finals that a session counted and that did not come", registry=r
        )
        self.promoted = Counter("collector_promoted_total", "drafts that became final without news", registry=r)
        self.claimed = Counter("collector_claimed_total", "entries taken over from silent consumers", registry=r)
        self.trimmed_pending = Counter(
            "collector_trimmed_pending_total", "entries deleted from the stream before they were stored", registry=r
        )
        self.database_errors = Counter("collector_db_errors_total", "failed uses of the database", registry=r)
        self.loop_lag_s = Gauge(
            "collector_event_loop_lag_seconds", "how late the event loop last ran a timer", registry=r
        )
        self.live_clients = Gauge("collector_live_clients", "connected live readers", ["kind"], registry=r)
        self.live_resyncs = Counter(
            "collector_live_resyncs_total", "times a live reader was brought up to date from the database", registry=r
        )
        self.http_s = Histogram(
            "collector_http_seconds", "duration of HTTP requests", ["route"], buckets=_SHORT_S, registry=r
        )
        # From the start at 0: `increase()` does not see a series begin.
        for kind in SEGMENT_KINDS:
            self.segments.labels(kind)
        for reason in get_args(DeadReason):
            self.dead_letters.labels(reason)
        # A panel without readers shows 0, not "no data".
        for kind in READER_KINDS:
            self.live_clients.labels(kind)

    def applied(self, result: Applied) -> None:
        """Count what a transaction did."""
        for kind, count in result.counts.items():
            self.segments.labels(kind).inc(count)
        self.conflicts.inc(result.conflicts)

    def dead(self, reason: DeadReason) -> None:
        """Count a dead letter."""
        self.dead_letters.labels(reason).inc()

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their media type, in the format that suits the request's Accept header."""
        return render(self.registry, accept)


class _HealthGauges(Collector):
    """Values of the health state, read at each scrape; an unknown one is left out."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterable[GaugeMetricFamily]:
        ages = GaugeMetricFamily("collector_loop_age_seconds", "time since a loop made progress", labels=["loop"])
        for loop, age_s in self._health.loop_ages_s().items():
            ages.add_metric([loop], age_s)
        yield ages
        lag = GaugeMetricFamily("collector_lag_seconds", "age of the oldest entry that is not stored")
        if self._health.lag_s is not None:
            lag.add_metric([], self._health.lag_s)
        yield lag
