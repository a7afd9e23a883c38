from __future__ import annotations

import asyncio
from typing import cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.engine.fake import FakeEngine
from app.http.app import create_app
from app.http.metrics import WorkerMetrics, endpoint_of
from app.http.state import WorkerState
from tests.clients import MODEL, PATH, Worker, settings_for_test, tone_wav, until, upload, worker
from tests.fakes import HeldEngine

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Name and labels of every sample, as Prometheus reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(running: Worker) -> Samples:
    """What Prometheus would see now."""
    answer = await running.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.text)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/audio/transcriptions", "transcriptions"),
        ("/v1/v1/audio/transcriptions", "transcriptions"),
        ("/v1/audio/translations", "translations"),
        ("/v1/models/secret/model", "models"),
        ("/health/ready", "health"),
        ("/v1/audio/transcriptions/../secret", "other"),
        ("/" + "x" * 10_000, "other"),
    ],
)
def test_endpoints_are_a_few_names(path: str, endpoint: str):
    """A scanner cannot fill the memory with its paths."""
    assert endpoint_of(path) == endpoint


async def test_every_promised_name_is_there(open_worker: Worker):
    """The names of docs/api.md, after one request."""
    await open_worker.transcribe(transcription_tier="realtime")
    names = {name for name, _ in await scrape(open_worker)}
    assert {
        "whisper_requests_total", "whisper_request_seconds_count", "whisper_queue_wait_seconds_sum",
        "whisper_decode_seconds_bucket", "whisper_inference_seconds_bucket", "whisper_audio_seconds_sum",
        "whisper_rtf_count", "whisper_in_flight", "whisper_slots", "whisper_queue_depth", "whisper_ready",
        "whisper_draining", "whisper_model_info", "whisper_event_loop_lag_seconds",
    } <= names  # fmt: skip


async def test_requests_are_counted_by_how_they_ended(open_worker: Worker):
    """A success, bad audio, a bad field, a stream: each under its outcome."""
    await open_worker.transcribe()
    await open_worker.transcribe(stream="true")
    await open_worker.client.post(PATH, files=upload(b"test\n"), data=MODEL)
    await open_worker.transcribe(temperature="hot")
    seen = await scrape(open_worker)

    def count(code: str, outcome: str) -> float:
        labels = (("code", code), ("endpoint", "transcriptions"), ("outcome", outcome))
        return seen["whisper_requests_total", labels]

    assert (count("200", "ok"), count("400", "invalid_audio"), count("400", "invalid_request")) == (2, 1, 1)
    assert seen["whisper_audio_seconds_sum", ()] == 4.0
    assert seen["whisper_audio_seconds_count", ()] == 2.0


async def test_load_is_visible_while_it_lasts():
    """Slots, what is in them, what waits, and a refusal."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1, api_keys="k") as running:
        running.client.headers["authorization"] = "Bearer k"
        task = asyncio.create_task(running.transcribe())
        await until(lambda: len(engine.received) == 1)
        await running.transcribe()
        await running.client.post(PATH, headers={"authorization": "Bearer wrong"})
        seen = await scrape(running)
        engine.go.set()
        await task
    assert (seen["whisper_slots", ()], seen["whisper_in_flight", ()], seen["whisper_queue_depth", ()]) == (1, 1, 0)
    assert seen["whisper_ready", ()] == 1
    labels = (("code", "503"), ("endpoint", "transcriptions"), ("outcome", "rejected_busy"))
    assert seen["whisper_requests_total", labels] == 1
    labels = (("code", "401"), ("endpoint", "transcriptions"), ("outcome", "rejected_auth"))
    assert seen["whisper_requests_total", labels] == 1


async def test_every_reason_for_a_503_is_counted_apart():
    """Loading and draining are no overload, and a health route that reports them refuses nothing."""
    app = create_app(settings_for_test(), build=lambda _: FakeEngine())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as client:
        await client.post(PATH, files=upload(), data=MODEL)
        await client.get("/health/ready")
        cast("WorkerState", app.state.worker).admission.drain()
        await client.post(PATH, files=upload(), data=MODEL)
        seen = samples((await client.get("/metrics")).text)
    for endpoint, outcome in (
        ("transcriptions", "rejected_loading"),
        ("transcriptions", "rejected_draining"),
        ("health", "not_ready"),
    ):
        labels = (("code", "503"), ("endpoint", endpoint), ("outcome", outcome))
        assert seen["whisper_requests_total", labels] == 1
    assert not any(("outcome", "rejected_busy") in labels for _, labels in seen)


async def test_no_label_holds_what_a_client_sent(open_worker: Worker):
    """Model names, languages, paths, ids, tiers and file names stay out."""
    await open_worker.client.post(
        f"{PATH}?q=marker",
        files={"file": ("marker.wav", tone_wav(), "audio/marker")},
        data={"model": "marker", "transcription_tier": "marker", "prompt": "marker"},
        headers={"x-request-id": "marker", "x-transcription-tier": "marker", "user-agent": "marker"},
    )
    await open_worker.client.get("/v1/models/marker")
    await open_worker.client.request("MARKER", "/marker")
    assert "marker" not in (await open_worker.client.get("/metrics")).text.lower()


def test_batches_are_counted_by_call():
    """How full the model's calls are, each kind apart: operators see whether batching pays."""
    metrics = WorkerMetrics()
    metrics.count_batch("generate", 8)
    metrics.count_batch("generate", 2)
    metrics.count_batch("encode", 1)
    seen = samples(metrics.render().decode())
    labels = (("call", "generate"),)
    assert (seen["whisper_batch_size_count", labels], seen["whisper_batch_size_sum", labels]) == (2, 10)


def test_skipped_windows_are_counted():
    """Silence and steady sound that the model never saw."""
    metrics = WorkerMetrics()
    metrics.count_skipped()
    assert samples(metrics.render().decode())["whisper_skipped_windows_total", ()] == 1


def test_suppressed_segments_are_counted_by_reason():
    """Text for noise and silence that no client sees."""
    metrics = WorkerMetrics()
    for reason in ("silence", "boilerplate", "silence"):
        metrics.count_suppressed(reason)
    seen = samples(metrics.render().decode())
    assert seen["whisper_suppressed_segments_total", (("reason", "silence"),)] == 2
    assert seen["whisper_suppressed_segments_total", (("reason", "boilerplate"),)] == 1


def test_two_applications_do_not_add_up():
    """Each has its own registry."""
    one, other = WorkerMetrics(), WorkerMetrics()
    one.count_request("/health", status=200, outcome="ok", tier="standard", seconds=0.1)
    assert b'whisper_requests_total{code="200"' in one.render()
    assert b'whisper_requests_total{code="200"' not in other.render()
