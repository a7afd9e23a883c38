"""The gateway's Prometheus metrics; no label contains anything a client sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

from prometheus_client import Counter, Gauge, Histogram

from app.live.admission import Refusal
from app.live.policy.agreement import CommitRule
from app.live.policy.dead_audio import Kind as DeadAudioKind
from app.live.publish.payloads import Kind as EntryKind
from app.live.remote import RejectedKind
from app.live.session.connection import SessionEnd
from app.ops.exposition import new_registry, render

LAG_BUCKETS = (0.25, 0.5, 1, 1.5, 2, 3, 5, 8, 13, 30, 60)
CALL_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30)
PUBLISH_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)

# The values of each label. Every series exists from the start at 0: `increase()` does not see a series begin.
ENDINGS: Final = tuple(ending.value for ending in SessionEnd)
REFUSALS: Final = (
    *get_args(Refusal), "draining", "handshake_timeout", "bad_handshake", "origin", "unauthorized", "tier",
)  # fmt: skip
OUTCOMES: Final = ("ok", "busy", "unavailable", "cancelled", *(f"rejected_{kind}" for kind in get_args(RejectedKind)))
LOSSES: Final = (
    "overflow", "rejected", "unfinished", "ended", *(ending.value for ending in SessionEnd if not ending.flushes),
)  # fmt: skip
UNPUBLISHED: Final = ("backlog", "shutdown", "spool", "unusable_event", "too_many_events")


class GatewayMetrics:
    """The collectors of one gateway, in their own registry, so that tests can have several."""

    def __init__(self, *, revision: str = "") -> None:
        """`revision` is the commit that the image was built from; "" if unknown."""
        self.registry = new_registry("wsgw", revision=revision)
        r = self.registry
        self.sessions_active = Gauge("wsgw_sessions_active", "open streams", registry=r)
        self.sessions_limit = Gauge("wsgw_sessions_limit", "open streams at most (MAX_CLIENTS)", registry=r)
        self.draining = Gauge("wsgw_draining", "1 while the gateway shuts down and admits no streams", registry=r)
        self.loop_lag_s = Gauge("wsgw_event_loop_lag_seconds", "how late the event loop last ran a timer", registry=r)
        self.sessions = Counter("wsgw_sessions_total", "streams by reason of their end", ["ending"], registry=r)
        self.refused = Counter("wsgw_refused_total", "refused connections by reason", ["reason"], registry=r)
        self.buffer_s = Gauge("wsgw_buffer_seconds", "audio held, all streams together", registry=r)
        self.lag_s = Histogram(
            "wsgw_lag_seconds",
            "age of the oldest speech that is not final, at each request",
            buckets=LAG_BUCKETS,
            registry=r,
        )
        self.commit_latency_s = Histogram(
            "wsgw_commit_latency_seconds",
            "time from a word's last sample to its commit",
            buckets=LAG_BUCKETS,
            registry=r,
        )
        self.first_text_s = Histogram(
            "wsgw_first_text_seconds",
            "time from the arrival of the first speech that became text to that text being sent, once per stream",
            buckets=LAG_BUCKETS,
            registry=r,
        )
        self.commits = Counter("wsgw_committed_words_total", "committed words by rule", ["rule"], registry=r)
        self.calls = Counter(
            "wsgw_upstream_requests_total", "requests to the service by outcome", ["outcome"], registry=r
        )
        self.call_s = Histogram(
            "wsgw_upstream_seconds", "duration of requests that returned a transcript", buckets=CALL_BUCKETS, registry=r
        )
        self.calls_in_flight = Gauge("wsgw_upstream_in_flight", "requests in flight", registry=r)
        self.calls_waiting = Gauge("wsgw_upstream_waiting", "streams that wait for a slot", registry=r)
        self.turn_wait_s = Histogram(
            "wsgw_turn_wait_seconds", "time from a window being due to its request", buckets=CALL_BUCKETS, registry=r
        )
        self.received_s = Counter("wsgw_audio_received_seconds_total", "audio received from clients", registry=r)
        self.sent_s = Counter(
            "wsgw_audio_sent_seconds_total", "audio sent to the service, overlaps included", registry=r
        )
        self.dropped_s = Counter("wsgw_dropped_audio_seconds_total", "audio lost by reason", ["reason"], registry=r)
        self.left_at_drain_s = Counter(
            "wsgw_left_at_drain_audio_seconds_total",
            "audio not transcribed because the gateway shut down; a client that connects again sends it again",
            registry=r,
        )
        self.dead_s = Counter(
            "wsgw_dead_audio_seconds_total", "audio that no microphone produces, by kind", ["kind"], registry=r
        )
        self.bad_samples = Counter("wsgw_bad_samples_total", "samples that were not finite or out of range", registry=r)
        self.paused_reads = Counter(
            "wsgw_paused_reads_total", "times a client was not read from because its buffer was full", registry=r
        )
        self.published = Counter("wsgw_published_total", "entries that Redis took, by kind", ["kind"], registry=r)
        self.publish_backlog = Gauge("wsgw_publish_backlog", "entries that wait for Redis in memory", registry=r)
        self.publish_dropped = Counter(
            "wsgw_publish_dropped_total", "entries and client events not published, by reason", ["reason"], registry=r
        )
        self.publish_s = Histogram(
            "wsgw_publish_seconds", "time from an entry to Redis' answer", buckets=PUBLISH_BUCKETS, registry=r
        )
        _create(self.sessions, ENDINGS)
        _create(self.refused, REFUSALS)
        _create(self.commits, (rule for rule in get_args(CommitRule) if rule != "nothing"))
        _create(self.calls, OUTCOMES)
        _create(self.dropped_s, LOSSES)
        _create(self.dead_s, get_args(DeadAudioKind))
        _create(self.published, get_args(EntryKind))
        _create(self.publish_dropped, UNPUBLISHED)

    def answered(self, outcome: str, seconds: float) -> None:
        """Count a request by its outcome; only the duration of a successful one tells how fast the service is."""
        self.calls.labels(outcome).inc()
        if outcome == "ok":
            self.call_s.observe(seconds)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their media type, in the format that suits the request's Accept header."""
        return render(self.registry, accept)


def _create(counter: Counter, values: Iterable[str]) -> None:
    for value in values:
        counter.labels(value)
