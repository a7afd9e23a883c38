"""The worker's Prometheus metrics. Nothing that a client sends becomes a label.

Each application has its own registry, so that two of them in one process do not add up. Counters exist from the
start with every value of their labels, because `rate()` does not see the first increase of a series that appears
with it. Histograms get theirs when they are first used and have few buckets: each value of a label costs a
series for every bucket, and a worker should not have more than 400 series, those of named keys apart (up to 105).
Source: docs/api.md lists the names; prometheus.io/docs/practices/naming for units and suffixes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, get_args

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from app.core.options import Lane, Tier
from app.core.transcript import AudioInfo, Timings
from app.engine.evidence import Suppressed
from app.engine.listeners import ErrorKind, FallbackReason
from app.http.endpoints import AUDIO_ENDPOINTS, EXPECTED, endpoint_of
from app.http.key_limits.metrics import KeyMetrics
from app.ops import exposition

_REQUEST_S: Final = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 120, 600)
_WAIT_S: Final = (0.005, 0.025, 0.1, 0.5, 1, 5, 30)
_BATCH_WAIT_S: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30)
_DECODE_S: Final = (0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 30)
_FIRST_SEGMENT_S: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_MODEL_S: Final = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
_AUDIO_S: Final = (1, 2, 5, 10, 30, 60, 300, 1800, 7200)
_BATCH_ROWS: Final = (1, 2, 4, 8, 16)
_RTF: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 5)
_UPLOAD_BYTES: Final = (1e4, 1e5, 1e6, 1e7, 1e8, 5e8)


class WorkerMetrics:
    """The metrics of one application.

    Args:
        revision: the commit that the image was built from; "" if unknown.
        clock: unix time in seconds.
    """

    def __init__(self, *, revision: str = "", clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._registry = exposition.new_registry("whisper", revision=revision)
        self._requests = self._counter("requests", "Answered requests", ("endpoint", "code", "outcome"))
        for endpoint, outcomes in EXPECTED.items():
            for outcome, statuses in outcomes.items():
                for status in statuses:
                    self._requests.labels(endpoint, str(status), outcome)
        self._seconds = self._histogram(
            "request_seconds",
            "From the head of a request for audio to the end of its answer",
            _REQUEST_S,
            ("endpoint", "tier", "outcome"),
        )
        self._upload_bytes = self._histogram("upload_bytes", "Size of uploaded files", _UPLOAD_BYTES)
        self._queue_s = self._histogram("queue_wait_seconds", "Time spent waiting for a slot", _WAIT_S, ("tier",))
        self._decode_s = self._histogram("decode_seconds", "Time spent decoding an upload's audio", _DECODE_S)
        self._model_s = self._histogram("inference_seconds", "Time spent in the model", _MODEL_S)
        self._first_segment_s = self._histogram(
            "first_segment_seconds", "From a request's head to its first segment", _FIRST_SEGMENT_S, ("lane",)
        )
        self._audio_s = self._histogram("audio_seconds", "Duration of transcribed audio", _AUDIO_S)
        self._speech_s = self._counter("speech_seconds", "Speech in transcribed audio")
        self._rtf = self._histogram("rtf", "Real-time factor: processing time for each second of audio", _RTF)
        self._skipped = self._counter("skipped_windows", "Windows of silence or steady sound that skipped the model")
        self._suppressed = self._counter(
            "suppressed_segments", "Segments without speech that were left out of the transcript", ("reason",)
        )
        self._fallbacks = self._counter(
            "fallbacks", "Windows that were tried again, or whose text was taken as that of silence", ("reason",)
        )
        self._errors = self._counter("engine_errors", "Failures that were not the caller's", ("kind",))
        for counter, values in (
            (self._suppressed, get_args(Suppressed)),
            (self._fallbacks, get_args(FallbackReason)),
            (self._errors, get_args(ErrorKind)),
        ):
            for value in values:
                counter.labels(value)
        self._batch_rows = self._histogram("batch_size", "Windows in one model call", _BATCH_ROWS, ("call",))
        self._batch_wait_s = self._histogram(
            "batch_wait_seconds", "How long the oldest window of a model call waited for it", _BATCH_WAIT_S
        )
        self._busy_s = self._counter("model_busy_seconds", "Time in model calls", ("replica",))
        self._model = self._gauge("model_info", "Always 1; its labels name the model", ("model", "device", "compute"))
        self._load_s = self._gauge("model_load_seconds", "How long loading the model took; 0 until it is loaded")
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
        slot_s: Callable[[], float],
        without_progress_s: Callable[[], float],
    ) -> None:
        """Read these values at each scrape.

        Args:
            in_flight: slots in use.
            slots: all slots.
            queue_depth: requests that wait for a slot.
            ready: whether new work is accepted.
            draining: whether the process is stopping.
            slot_s: seconds for which slots were in use, all slots together.
            without_progress_s: seconds since work last went on; 0 while there is none.
        """
        self._gauge("in_flight", "Slots in use").set_function(in_flight)
        self._gauge("slots", "Requests that may be processed at once").set_function(slots)
        self._gauge("queue_depth", "Requests waiting for a slot").set_function(queue_depth)
        self._gauge("ready", "1 while new work is accepted").set_function(ready)
        self._gauge("draining", "1 while the process is stopping").set_function(draining)
        self._gauge(
            "last_progress_timestamp_seconds",
            "When a model call or a request last ended; the present on an idle worker",
        ).set_function(lambda: self._clock() - without_progress_s())
        self._registry.register(_ReadCounter("whisper_slot_seconds", "Time for which slots were in use", slot_s))

    def count_request(
        self, path: str, *, status: int, outcome: str, tier: str, seconds: float, trace_id: str | None = None
    ) -> None:
        """Count an answered request; with a trace, it is the exemplar of its bucket."""
        endpoint = endpoint_of(path)
        self._requests.labels(endpoint, str(status), outcome).inc()
        if endpoint in AUDIO_ENDPOINTS:
            timed = self._seconds.labels(endpoint, tier, "ok" if outcome == "ok" else "other")
            timed.observe(seconds, None if trace_id is None else {"trace_id": trace_id})

    def count_upload(self, n_bytes: int) -> None:
        """Count a file that was received completely."""
        self._upload_bytes.observe(n_bytes)

    def count_queue_wait(self, tier: Tier, seconds: float) -> None:
        """Count a wait for a slot, however it ended."""
        self._queue_s.labels(tier).observe(seconds)

    def count_first_segment(self, lane: Lane, seconds: float) -> None:
        """Count the first segment of a request; from the head of the request."""
        self._first_segment_s.labels(lane).observe(seconds)

    def count_transcription(self, info: AudioInfo, timings: Timings) -> None:
        """Count a file that was transcribed completely."""
        self._audio_s.observe(info.duration_s)
        self._rtf.observe((timings.audio_decode_s + timings.model_s) / max(info.duration_s, 0.001))

    def count_decoding(self, seconds: float) -> None:
        """Count the audio decoding of an upload, however it ended; this and what follows may come from any thread."""
        self._decode_s.observe(seconds)

    def count_inference(self, seconds: float) -> None:
        """Count the work on decoded audio, however it ended."""
        self._model_s.observe(seconds)

    def count_speech(self, seconds: float) -> None:
        """Count the speech of an upload that was transcribed completely."""
        self._speech_s.inc(seconds)

    def count_batch(self, call: str, rows: int) -> None:
        """Count a model call."""
        self._batch_rows.labels(call).observe(rows)

    def count_batch_wait(self, seconds: float) -> None:
        """Count how long a model call let its oldest window wait."""
        self._batch_wait_s.observe(seconds)

    def count_busy(self, replica: int, seconds: float) -> None:
        """Count the time that a replica of the model ran."""
        self._busy_s.labels(str(replica)).inc(seconds)

    def count_skipped(self) -> None:
        """Count a window that was left out."""
        self._skipped.inc()

    def count_suppressed(self, reason: str) -> None:
        """Count a segment that was left out."""
        self._suppressed.labels(reason).inc()

    def count_fallback(self, reason: FallbackReason) -> None:
        """Count a window that was tried again, or taken as silence."""
        self._fallbacks.labels(reason).inc()

    def count_engine_error(self, kind: ErrorKind) -> None:
        """Count a failure that was not the caller's."""
        self._errors.labels(kind).inc()

    def set_model(self, *, model: str, device: str, compute_type: str, replicas: int, load_s: float) -> None:
        """Record which model is loaded, and how long that took."""
        self._model.labels(model, device, compute_type).set(1)
        self._load_s.set(load_s)
        for replica in range(replicas):
            self._busy_s.labels(str(replica))

    def set_loop_lag(self, lag_s: float) -> None:
        """Record how late the event loop ran a timer."""
        self._lag.set(lag_s)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics in a format that the Accept header names, and its media type."""
        return exposition.render(self._registry, accept)

    def _counter(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"whisper_{name}", help_, labels, registry=self._registry)

    def _gauge(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"whisper_{name}", help_, labels, registry=self._registry)

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"whisper_{name}", help_, labels, buckets=buckets, registry=self._registry)


class _ReadCounter(Collector):
    """A counter whose value is read at each scrape."""

    def __init__(self, name: str, help_: str, read: Callable[[], float]) -> None:
        self._name = name
        self._help = help_
        self._read = read

    def collect(self) -> Iterable[CounterMetricFamily]:
        """The one sample."""
        yield CounterMetricFamily(self._name, self._help, value=self._read())
