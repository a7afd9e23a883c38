"""POST /v1/audio/transcriptions and /v1/audio/translations: read the body, take a permit, run the engine, render."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import BinaryIO

from fastapi import APIRouter, Request, Response

from app.core.errors import EngineFailure, InvalidRequest
from app.core.options import Task
from app.core.transcript import AudioInfo, Progress, Timings, Transcript
from app.engine.engine import in_thread, transcribe
from app.http.first_segment import FirstSegmentWatch
from app.http.middleware.disconnect import cancel_on_disconnect
from app.http.middleware.gate import check_tier, key_of
from app.http.request.body import read_body
from app.http.request.multipart import Upload
from app.http.request.parse import ParsedRequest, parse
from app.http.request_record import RequestRecord, record_of
from app.http.response import openapi
from app.http.response.events import EventWriter
from app.http.response.formats import ResponseFormat, render
from app.http.response.stream import EngineEvent, EventStream, encode_events
from app.http.state import WorkerState, state_of

log = logging.getLogger("app.http")
router = APIRouter(tags=["audio"])


@router.post("/v1/audio/transcriptions", **openapi.TRANSCRIPTIONS)
# Vexa's clients use this path when their base URL already ends in /v1.
@router.post("/v1/v1/audio/transcriptions", include_in_schema=False)
async def create_transcription(request: Request) -> Response:
    """Transcribe the uploaded file in the language that is spoken.

    Without `response_format` the answer is the verbose_json body, which holds what OpenAI's and Vexa's
    clients read. Unknown fields are ignored.
    """
    return await _answer(request, default_format="verbose_json")


@router.post("/v1/audio/translations", **openapi.TRANSLATIONS)
@router.post("/v1/v1/audio/translations", include_in_schema=False)
async def create_translation(request: Request) -> Response:
    """Translate the uploaded file to English; 400 if the model cannot translate.

    Accepts the same fields as a transcription; `language` is the language that is spoken.
    """
    return await _answer(request, default_format="json", task="translate")


async def _answer(request: Request, *, default_format: ResponseFormat, task: Task | None = None) -> Response:
    worker = state_of(request)
    record = record_of(request.scope)
    with record.times.stage("upload"):
        upload = await read_body(
            request, max_file_bytes=worker.max_upload_bytes, budget=worker.uploads, turn=worker.json_turn
        )
    if upload.file is not None:
        record.upload_bytes = upload.file_bytes
        worker.metrics.count_upload(upload.file_bytes)
    streaming = False
    try:
        parsed = parse(
            upload.fields,
            default_format=default_format,
            tier_header=request.headers.get("x-transcription-tier"),
            task=task,
        )
        check_tier(key_of(request.scope), parsed.options.tier)
        worker.check_model(parsed.model)
        file = _file_of(upload)
        record.tier, record.stream = parsed.options.tier, parsed.stream
        if parsed.stream:
            stream = await cancel_on_disconnect(request.receive, _stream(request, worker, upload, file, parsed))
            streaming = True
            return stream
        transcript = await cancel_on_disconnect(request.receive, _transcribe(worker, file, parsed, record))
    finally:
        if not streaming:
            upload.close()
    record.info, record.timings = transcript.info, transcript.timings
    with record.times.stage("format"):
        return await _rendered(transcript, parsed, worker)


async def _transcribe(worker: WorkerState, file: BinaryIO, parsed: ParsedRequest, record: RequestRecord) -> Transcript:
    started = time.monotonic()
    with record.times.stage("queue"):
        permit = await worker.admission.acquire(parsed.options.tier)
    queue_s = time.monotonic() - started
    watch = FirstSegmentWatch(record.started_s, worker.metrics.count_first_segment)
    transcript = await transcribe(worker.engine, file, parsed.options, permit, times=record.times, on_event=watch.see)
    return replace(transcript, timings=replace(transcript.timings, queue_s=queue_s))


async def _stream(
    request: Request, worker: WorkerState, upload: Upload, file: BinaryIO, parsed: ParsedRequest
) -> EventStream:
    """The response, as soon as the first event has arrived; from then on it owns the upload."""
    record = record_of(request.scope)
    started = time.monotonic()
    with record.times.stage("queue"):
        permit = await worker.admission.acquire(parsed.options.tier)
    queue_s = time.monotonic() - started
    events = worker.engine.stream(file, parsed.options, permit, record.times)

    def on_timings(timings: Timings) -> None:
        record.timings = replace(timings, queue_s=queue_s)

    def on_info(info: AudioInfo) -> None:
        record.info = info

    async def close() -> None:
        await events.aclose()
        upload.close()

    try:
        first = await _first(events)
    except BaseException:
        await events.aclose()
        raise
    watch = FirstSegmentWatch(record.started_s, worker.metrics.count_first_segment)
    writer = EventWriter(logprobs=parsed.options.logprobs, started_s=time.monotonic())
    return EventStream(
        encode_events(first, events, writer, on_info=on_info, on_timings=on_timings, on_event=watch.see),
        headers={"Server-Timing": f"queue;dur={queue_s * 1000:.1f}"},
        close=close,
    )


async def _first(events: AsyncGenerator[EngineEvent | Timings, None]) -> AudioInfo | Progress:
    """The engine's first event; every error that is known before any text is raised here."""
    first = await anext(events, None)
    if not isinstance(first, AudioInfo | Progress):
        log.error("This is a bug: the first event of the engine is %r.", type(first).__name__)
        raise EngineFailure("The server failed to transcribe this audio.")
    return first


async def _rendered(transcript: Transcript, parsed: ParsedRequest, worker: WorkerState) -> Response:
    rendering = await in_thread(
        lambda: render(
            transcript,
            response_format=parsed.response_format,
            task=parsed.options.task,
            words=parsed.words,
            segments=parsed.segments,
            logprobs=parsed.options.logprobs,
            language_style=worker.language_style,
        )
    )
    headers = {"Server-Timing": server_timing(transcript.timings)}
    return Response(rendering.body, media_type=rendering.media_type, headers=headers)


def server_timing(timings: Timings) -> str:
    """The Server-Timing header: milliseconds of each stage."""
    spent_s = {"decode": timings.audio_decode_s, "queue": timings.queue_s, "model": timings.model_s}
    return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in spent_s.items())


def _file_of(upload: Upload) -> BinaryIO:
    if upload.file is None:
        raise InvalidRequest(
            "file: required; send the audio as a multipart part named 'file', or as 'input_audio' of a JSON body.",
            param="file",
        )
    return upload.file
