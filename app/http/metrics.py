"""The worker's Prometheus metrics. Nothing that a client sends becomes a label.

Each application has its own registry, so that two of them in one process do not add up.
Source: docs/api.md lists the names; prometheus.io/docs/practices/naming for units and suffixes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.core.transcript import AudioInfo, Timings
from app.http.key_limits.metrics import KeyMetrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series

MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

_REQUEST_S: Final = (.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600)  # fmt: skip
_WAIT_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STAGE_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_AUDIO_S: Final = (0.5, 1, 2, 5, 10, 20, 30, 60, 300, 600, 1800, 3600, 7200)
_BATCH_ROWS: Final = (1, 2, 4, 8, 16, 32)
_RTF: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1, 1.5, 2, 3, 5)

# The label of each path; clients can invent paths, but no labels.
_ENDPOINTS: Final = {
    "/v1/audio/transcriptions": "transcriptions",
    "/v1/v1/audio/transcriptions": "transcriptions",
    "/v1/audio/translations": "translations",
    "/v1/v1/audio/translations": "translations",
    "/v1/models": "models",
    "/health": "health",
    "/health/live": "health",
    "/health/ready": "health",
    "/metrics": "metrics",
}


def endpoint_of(path: str) -> str:
    """The label of a path: one of a fixed set."""
    return "models" if path.startswith("/v1/models/") else _ENDPOINTS.get(path, "other")


class WorkerMetrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter("requests", "Answered requests", ("endpoint", "code", "outcome"))
        self._seconds = self._histogram(
            "request_seconds",
            "From a request's headers to the end of its answer",
            _REQUEST_S,
            ("endpoint", "tier"),
        )
        self._queue_s = self._histogram("queue_wait_seconds", "Time spent waiting for a slot", _WAIT_S, ("tier",))
        self._decode_s = self._histogram("decode_seconds", "Time spent decoding the uploaded audio", _STAGE_S)
        self._model_s = self._histogram("inference_seconds", "Time spent in the model", _STAGE_S)
        self._audio_s = self._histogram("audio_seconds", "Duration of transcribed audio", _AUDIO_S)
        self._rtf = self._histogram("rtf", "Real-time factor: processing time for each second of audio", _RTF)
        self._skipped = self._counter(
            "skipped_windows", "Windows of silence or steady sound that skipped the model", ()
        )
        self._suppressed = self._counter(
            "suppressed_segments", "Segments without speech that were left out of the transcript", ("reason",)
        )
        self._batch_rows = self._histogram("batch_size", "Windows in one model call", _BATCH_ROWS, ("call",))
        self._model = self._gauge("model_info", "Always 1; its labels name the model", ("model", "device", "compute"))
        self.keys = KeyMetrics(self._registry)
        self._lag = self._gauge("event_loop_lag_seconds", "How late the event loop last ran a timer")

    def observe_state(
        self,
        *,
        in_flight: Callable[[], float],
        slots: Callable[[], float],
        queue_depth: Callable[[], float],
        ready: Callable[[], float],
        draining: Callable[[], float],
    ) -> None:
        """Read these values at each scrape."""
        self._gauge("in_flight", "Slots in use").set_function(in_flight)
        self._gauge("slots", "Requests that may be processed at once").set_function(slots)
        self._gauge("queue_depth", "Requests waiting for a slot").set_function(queue_depth)
        self._gauge("ready", "1 while new work is accepted").set_function(ready)
        self._gauge("draining", "1 while the process is stopping").set_function(draining)

    def count_request(self, path: str, *, status: int, outcome: str, tier: str, seconds: float) -> None:
        """Count an answered request."""
        endpoint = endpoint_of(path)
        self._requests.labels(endpoint, str(status), outcome).inc()
        self._seconds.labels(endpoint, tier).observe(seconds)

    def count_transcription(self, info: AudioInfo, timings: Timings, *, tier: str) -> None:
        """Count a file that was transcribed completely."""
        self._queue_s.labels(tier).observe(timings.queue_s)
        self._decode_s.observe(timings.audio_decode_s)
        self._model_s.observe(timings.model_s)
        self._audio_s.observe(info.duration_s)
        self._rtf.observe((timings.audio_decode_s + timings.model_s) / max(info.duration_s, 0.001))

    def count_batch(self, call: str, rows: int) -> None:
        """Count a model call; may be called from any thread."""
        self._batch_rows.labels(call).observe(rows)

    def count_skipped(self) -> None:
        """Count a window that was left out; may be called from any thread."""
        self._skipped.inc()

    def count_suppressed(self, reason: str) -> None:
        """Count a segment that was left out; may be called from any thread."""
        self._suppressed.labels(reason).inc()

    def set_model(self, *, model: str, device: str, compute_type: str) -> None:
        """Record which model is loaded."""
        self._model.labels(model, device, compute_type).set(1)

    def set_loop_lag(self, lag_s: float) -> None:
        """Record how late the event loop ran a timer."""
        self._lag.set(lag_s)

    def render(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, help_: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"whisper_{name}", help_, labels, registry=self._registry)

    def _gauge(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"whisper_{name}", help_, labels, registry=self._registry)

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"whisper_{name}", help_, labels, buckets=buckets, registry=self._registry)
