"""POST /v1/audio/transcriptions: body -> Options, permit, engine, body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, BinaryIO, TypeVar

from fastapi import APIRouter, Request, Response

from app.api import forms
from app.api.service import Service, service_of
from app.api.uploads import Upload, read_upload
from app.engine.engine import aside, transcribe
from app.errors import Cancelled, InvalidRequest
from app.formats import render
from app.options import Options
from app.transcript import Transcript

router = APIRouter(tags=["audio"])
T = TypeVar("T")


@router.post("/v1/audio/transcriptions", summary="Transcribe an audio file")
# Vexa's clients build this when their base URL already ends in /v1.
@router.post("/v1/v1/audio/transcriptions", include_in_schema=False)
async def create_transcription(request: Request) -> Response:
    """What is said in the uploaded file, as json, text, srt, vtt or verbose_json."""
    service = service_of(request)
    upload = await read_upload(request, max_file_bytes=service.max_upload_bytes)
    try:
        form = forms.parse(upload.fields, tier_header=request.headers.get("x-transcription-tier"))
        service.check_model(form.model)
        work = _transcribe(service, _file_of(upload), form.options)
        transcript = await unless_gone(request, work)
    finally:
        upload.close()
    request.scope["log_fields"].update(_facts(transcript))
    rendering = await aside(
        lambda: render(
            transcript,
            response_format=form.response_format,
            task=form.options.task,
            words=form.words,
            segments=form.segments,
            language_style=service.language_style,
        )
    )
    return Response(rendering.body, media_type=rendering.media_type)


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, but cancel it as soon as the client hangs up.

    The server does not cancel a route when its client leaves; without this a client that times out
    and retries multiplies its own load.

    Raises:
        Cancelled: the client has gone; nobody reads the answer.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Cancelled("The client hung up.")
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _transcribe(service: Service, audio: BinaryIO, options: Options) -> Transcript:
    started = time.monotonic()
    permit = await service.admission.acquire()
    queue_s = time.monotonic() - started
    transcript = await transcribe(service.engine, audio, options, permit)
    return replace(transcript, timings=replace(transcript.timings, queue_s=queue_s))


def _file_of(upload: Upload) -> BinaryIO:
    if upload.file is None:
        raise InvalidRequest("file: required; send the audio as a multipart part named 'file'.", param="file")
    return upload.file


def _facts(transcript: Transcript) -> dict[str, object]:
    """What the log line tells of a transcription; never its text."""
    timings = transcript.timings
    return {
        "audio_s": round(transcript.info.duration_s, 2),
        "language": transcript.info.language,
        "decode_ms": round(timings.decode_s * 1000),
        "queue_ms": round(timings.queue_s * 1000),
        "model_ms": round(timings.model_s * 1000),
    }
