from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import cast, get_args

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.engine.fake import FakeEngine
from app.http.admission import Admission
from app.http.app import create_app, observe_state
from app.http.endpoints import EXPECTED
from app.http.metrics import WorkerMetrics
from app.http.request_record import Outcome, record_of
from app.http.state import WorkerState
from app.ops.version import VERSION
from tests.clients import MODEL, PATH, Worker, settings_for_test, tone_wav, until, upload, worker
from tests.fakes import FakeClock, HeldEngine

ROOT = Path(__file__).resolve().parents[2]
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


def rendered(metrics: WorkerMetrics) -> Samples:
    """The samples of metrics without an application."""
    return samples(metrics.render()[0].decode())


async def test_the_documented_metrics_are_those_that_are_there(open_worker: Worker):
    """docs/api.md names each metric of the worker, and no other."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    text = (await open_worker.client.get("/metrics")).text
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    names = {f"{name}_total" if kind == "counter" else name for name, kind in families.items()}
    documented = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)))
    assert sorted(documented) == sorted(name for name in names if name.startswith("whisper_"))
    assert "process_resident_memory_bytes" in names
    assert not [name for name, _ in samples(text) if name.endswith("_created")]


async def test_every_label_of_a_counter_is_there_from_the_start(open_worker: Worker):
    """At 0, because `rate()` does not see the first increase of a series that appears with it."""
    seen = await scrape(open_worker)

    def values(name: str, label: str) -> set[str]:
        found = {value for each, labels in seen for key, value in labels if (each, key) == (name, label)}
        assert all(value == 0 for (each, _), value in seen.items() if each == name)
        return found

    assert values("whisper_requests_total", "outcome") == set(get_args(Outcome))
    assert values("whisper_requests_total", "endpoint") == set(EXPECTED)
    assert values("whisper_engine_errors_total", "kind") == {"oom", "cuda", "stall", "decode", "other"}
    assert values("whisper_fallbacks_total", "reason") == {"temperature", "repetition", "silence"}
    assert values("whisper_suppressed_segments_total", "reason") == {"no_text", "silence", "boilerplate"}
    assert values("whisper_model_busy_seconds_total", "replica") == {"0"}
    for name in ("whisper_slot_seconds_total", "whisper_speech_seconds_total", "whisper_skipped_windows_total"):
        assert seen[name, ()] == 0


async def test_the_build_and_the_load_are_known():
    """The version, the commit of the image, and how long the model took to load."""
    async with worker(build_revision="71c68e3") as running:
        seen = await scrape(running)
    assert seen["whisper_build_info", (("revision", "71c68e3"), ("version", VERSION))] == 1
    assert seen["whisper_model_load_seconds", ()] > 0


async def test_refusals_do_not_change_the_latency_of_work(open_worker: Worker):
    """After 20 refusals the histogram of `outcome="ok"` holds the successes only."""
    for _ in range(5):
        await open_worker.transcribe()
    for _ in range(20):
        await open_worker.transcribe(temperature="hot")
    seen = await scrape(open_worker)
    for outcome, count in (("ok", 5), ("other", 20)):
        labels = (("endpoint", "transcriptions"), ("outcome", outcome), ("tier", "standard"))
        assert seen["whisper_request_seconds_count", labels] == count


async def test_openmetrics_has_the_trace_of_a_request_and_text_has_not():
    """The exemplar of the bucket is the trace id; prometheus-client's strict parser accepts the whole answer."""
    async with worker() as running:
        running.state.metrics.count_request(PATH, status=200, outcome="ok", tier="standard", seconds=0.3)
        running.state.metrics.count_request(
            PATH, status=200, outcome="ok", tier="standard", seconds=0.3, trace_id="ab" * 16
        )
        answer = await running.client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        plain = await running.client.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    found = [sample for family in parse_openmetrics(answer.text) for sample in family.samples if sample.exemplar]
    assert [(sample.labels["le"], sample.exemplar.labels) for sample in found] == [("0.5", {"trace_id": "ab" * 16})]
    assert "ab" * 16 not in plain.text


async def test_the_trace_of_a_request_is_the_exemplar_of_its_latency(open_worker: Worker):
    """What the request's record holds at its end is in the answer to Prometheus."""

    async def traced(request: Request) -> Response:
        record_of(request.scope).trace_id = "cd" * 16
        return Response()

    open_worker.app.router.routes.insert(0, Route("/v1/audio/translations", traced, methods=["POST"]))
    await open_worker.client.post("/v1/audio/translations")
    answer = await open_worker.client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert f'# {{trace_id="{"cd" * 16}"}}' in answer.text


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
    assert not any(value for (_, labels), value in seen.items() if ("outcome", "rejected_busy") in labels)


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
    seen = rendered(metrics)
    labels = (("call", "generate"),)
    assert (seen["whisper_batch_size_count", labels], seen["whisper_batch_size_sum", labels]) == (2, 10)


def test_skipped_windows_are_counted():
    """Silence and steady sound that the model never saw."""
    metrics = WorkerMetrics()
    metrics.count_skipped()
    assert rendered(metrics)["whisper_skipped_windows_total", ()] == 1


def test_suppressed_segments_are_counted_by_reason():
    """Text for noise and silence that no client sees."""
    metrics = WorkerMetrics()
    for reason in ("silence", "boilerplate", "silence"):
        metrics.count_suppressed(reason)
    seen = rendered(metrics)
    assert seen["whisper_suppressed_segments_total", (("reason", "silence"),)] == 2
    assert seen["whisper_suppressed_segments_total", (("reason", "boilerplate"),)] == 1


def test_two_applications_do_not_add_up():
    """Each has its own registry."""
    one, other = WorkerMetrics(), WorkerMetrics()
    one.count_request("/health", status=200, outcome="ok", tier="standard", seconds=0.1)
    labels = (("code", "200"), ("endpoint", "health"), ("outcome", "ok"))
    assert rendered(one)["whisper_requests_total", labels] == 1
    assert rendered(other)["whisper_requests_total", labels] == 0


async def test_slot_seconds_are_exact():
    """Three requests of 2 s are 6 slot seconds, however rarely they are scraped; half of one is seen while it runs."""
    clock, metrics = FakeClock(), WorkerMetrics()
    admission = Admission(slots=2, max_queue=2, fail_fast=False, retry_after_s=1, clock=clock)
    admission.open()
    observe_state(WorkerState(admission, "1", 1024, "code", strict_models=False, metrics=metrics))
    first, second = await admission.acquire(), await admission.acquire()
    third = asyncio.create_task(admission.acquire())
    clock.advance(2)
    first.release()
    second.release()
    permit = await third
    clock.advance(1)
    assert rendered(metrics)["whisper_slot_seconds_total", ()] == 5
    clock.advance(1)
    permit.release()
    clock.advance(10)
    assert rendered(metrics)["whisper_slot_seconds_total", ()] == 6


class AgedEngine(HeldEngine):
    """An engine whose last call was some time ago."""

    last_inference_age_s: float | None = None


async def test_progress_is_a_finished_call_or_a_finished_request():
    """On an idle worker it is the present, so the first request after a night is not an alarm; then it stands still."""
    clock, engine, metrics = FakeClock(), AgedEngine(), WorkerMetrics(clock=lambda: 1_000_000.0)
    admission = Admission(slots=2, max_queue=0, fail_fast=True, retry_after_s=1, clock=clock)
    admission.open()
    state = WorkerState(admission, "1", 1024, "code", strict_models=False, metrics=metrics, loaded=engine)
    observe_state(state)

    def age_s() -> float:
        return 1_000_000.0 - rendered(metrics)["whisper_last_progress_timestamp_seconds", ()]

    clock.advance(3600)
    assert age_s() == 0
    first, second = await admission.acquire(), await admission.acquire()
    clock.advance(130)
    assert age_s() == 130
    engine.last_inference_age_s = 50
    assert age_s() == 50, "a call of the model"
    second.release()
    clock.advance(20)
    assert age_s() == 20, "a request"
    first.release()
    assert age_s() == 0


async def test_waits_and_first_text_are_timed_also_for_clients_who_leave():
    """A wait for a slot is counted when its client hangs up, a first segment by its lane, an upload by its size."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1, fail_fast_when_busy=False) as running:
        busy = asyncio.create_task(running.transcribe())
        await until(lambda: len(engine.received) == 1)
        waiting = asyncio.create_task(running.transcribe(transcription_tier="realtime"))
        await until(lambda: running.state.admission.queued == 1)
        waiting.cancel()
        await until(lambda: running.state.admission.queued == 0)
        seen = await scrape(running)
        engine.go.set()
        await busy
    assert seen["whisper_queue_wait_seconds_count", (("tier", "realtime"),)] == 1
    assert seen["whisper_upload_bytes_sum", ()] == 2 * len(tone_wav())


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_stages_of_a_request(open_worker: Worker, stream: str):
    """Each is counted once, streamed or not; audio and speech of a tone are the same length."""
    await open_worker.transcribe(stream=stream)
    seen = await scrape(open_worker)
    names = ("decode_seconds", "inference_seconds", "audio_seconds", "rtf", "upload_bytes")
    assert [seen[f"whisper_{name}_count", ()] for name in names] == [1] * len(names)
    assert seen["whisper_first_segment_seconds_count", (("lane", "short"),)] == 1
    assert seen["whisper_speech_seconds_total", ()] == seen["whisper_audio_seconds_sum", ()] == 2
    assert seen["whisper_model_busy_seconds_total", (("replica", "0"),)] > 0


async def test_bad_audio_is_timed_too(open_worker: Worker):
    """An upload that cannot be decoded took its time; the model and the length of audio have nothing to count."""
    await open_worker.client.post(PATH, files=upload(b"test\n"), data=MODEL)
    seen = await scrape(open_worker)
    assert seen["whisper_decode_seconds_count", ()] == 1
    assert seen["whisper_inference_seconds_count", ()] == seen["whisper_audio_seconds_count", ()] == 0
