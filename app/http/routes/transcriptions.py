"""POST /v1/audio/transcriptions and /v1/audio/translations: body -> Options, permit, engine, body."""

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
from app.http.middleware.disconnect import unless_gone
from app.http.request import forms
from app.http.request.body import read_body
from app.http.request.forms import TranscriptionForm
from app.http.request.multipart import Upload
from app.http.request_record import record_of
from app.http.response import openapi
from app.http.response.events import EventWriter
from app.http.response.formats import ResponseFormat, render
from app.http.response.stream import EngineEvent, EventStream, frames
from app.http.state import WorkerState, state_of

log = logging.getLogger("app.api")
router = APIRouter(tags=["audio"])


@router.post("/v1/audio/transcriptions", **openapi.TRANSCRIPTIONS)
# Vexa's clients build this when their base URL already ends in /v1.
@router.post("/v1/v1/audio/transcriptions", include_in_schema=False)
async def create_transcription(request: Request) -> Response:
    """What is said in the uploaded file, in the language in which it is said.

    Without `response_format` the answer is the verbose body, which holds what OpenAI's and what Vexa's
    clients read. Unknown fields are ignored.
    """
    return await _answer(request, default_format="verbose_json")


@router.post("/v1/audio/translations", **openapi.TRANSLATIONS)
@router.post("/v1/v1/audio/translations", include_in_schema=False)
async def create_translation(request: Request) -> Response:
    """What is said in the uploaded file, in English; 400 where the model cannot translate.

    Takes the same fields as a transcription, whose `language` is then a hint about the speech.
    """
    return await _answer(request, default_format="json", task="translate")


async def _answer(request: Request, *, default_format: ResponseFormat, task: Task | None = None) -> Response:
    worker = state_of(request)
    upload = await read_body(request, max_file_bytes=worker.max_upload_bytes, turn=worker.json_turn)
    streaming = False
    try:
        form = forms.parse(
            upload.fields,
            default_format=default_format,
            tier_header=request.headers.get("x-transcription-tier"),
            task=task,
        )
        worker.check_model(form.model)
        file = _file_of(upload)
        record = record_of(request.scope)
        record.lane, record.stream = form.options.tier, form.stream
        if form.stream:
            stream = await unless_gone(request.receive, _stream(request, worker, upload, file, form))
            streaming = True
            return stream
        transcript = await unless_gone(request.receive, _transcribe(worker, file, form))
    finally:
        if not streaming:
            upload.close()
    record.info, record.timings = transcript.info, transcript.timings
    return await _rendered(transcript, form, worker)


async def _transcribe(worker: WorkerState, file: BinaryIO, form: TranscriptionForm) -> Transcript:
    started = time.monotonic()
    permit = await worker.admission.acquire(form.options.tier)
    queue_s = time.monotonic() - started
    transcript = await transcribe(worker.engine, file, form.options, permit)
    return replace(transcript, timings=replace(transcript.timings, queue_s=queue_s))


async def _stream(
    request: Request, worker: WorkerState, upload: Upload, file: BinaryIO, form: TranscriptionForm
) -> EventStream:
    """The response, once the first event is there; from then on it owns the upload."""
    record = record_of(request.scope)
    started = time.monotonic()
    permit = await worker.admission.acquire(form.options.tier)
    queue_s = time.monotonic() - started
    events = worker.engine.stream(file, form.options, permit)

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
    writer = EventWriter(logprobs=form.options.logprobs, started_s=time.monotonic())
    return EventStream(
        frames(first, events, writer, on_info=on_info, on_timings=on_timings),
        headers={"Server-Timing": f"queue;dur={queue_s * 1000:.1f}"},
        close=close,
    )


async def _first(events: AsyncGenerator[EngineEvent | Timings, None]) -> AudioInfo | Progress:
    """The engine's first event; every reason to refuse the request is raised in its place."""
    first = await anext(events, None)
    if not isinstance(first, AudioInfo | Progress):
        log.error("This is a bug: the engine began with %r.", type(first).__name__)
        raise EngineFailure("The server failed to transcribe this audio.")
    return first


async def _rendered(transcript: Transcript, form: TranscriptionForm, worker: WorkerState) -> Response:
    rendering = await in_thread(
        lambda: render(
            transcript,
            response_format=form.response_format,
            task=form.options.task,
            words=form.words,
            segments=form.segments,
            logprobs=form.options.logprobs,
            language_style=worker.language_style,
        )
    )
    headers = {"Server-Timing": server_timing(transcript.timings)}
    return Response(rendering.body, media_type=rendering.media_type, headers=headers)


def server_timing(timings: Timings) -> str:
    """Where the time went, as browsers and proxies read it: milliseconds."""
    spent_s = {"decode": timings.audio_decode_s, "queue": timings.queue_s, "model": timings.model_s}
    return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in spent_s.items())


def _file_of(upload: Upload) -> BinaryIO:
    if upload.file is None:
        raise InvalidRequest(
            "file: required; send the audio as a multipart part named 'file', or as 'input_audio' of a JSON body.",
            param="file",
        )
    return upload.file
