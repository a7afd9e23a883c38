"""The plain design to compare with: faster-whisper as it comes, behind a semaphore of 2.

What most self-hosted servers do: one `WhisperModel` with its default settings, a thread per request,
at most two at once. Same route and same answer as the worker. By default the others wait, so that
both designs are asked the same question: how fast is the work done? A request's temperature is passed
on as such servers do, so that 0 means one try, without the sampled retries whose text is random.

    python -m bench.stock --model DIRECTORY --port 9000
"""

from __future__ import annotations

import argparse
import asyncio
import io
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Form, HTTPException, UploadFile
from faster_whisper import WhisperModel

N_PERMITS = 2


def create_app(whisper: WhisperModel, *, beam_size: int, fail_fast: bool) -> FastAPI:
    """The plain server over a loaded model."""
    app = FastAPI()
    permits = asyncio.Semaphore(N_PERMITS)

    def transcribe(audio: bytes, **options: Any) -> str:
        segments, _ = whisper.transcribe(io.BytesIO(audio), beam_size=beam_size, **options)
        return "".join(segment.text for segment in segments).strip()

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        """The model was loaded before the server."""
        return {"status": "ready"}

    @app.post("/v1/audio/transcriptions")
    async def create_transcription(
        file: UploadFile,
        language: Annotated[str | None, Form()] = None,
        temperature: Annotated[float, Form()] = 0.0,
        vad_filter: Annotated[bool, Form()] = False,  # noqa: FBT002 - a form field
    ) -> dict[str, str]:
        """The text of an upload."""
        audio = await file.read()
        if fail_fast and permits.locked():
            raise HTTPException(503, "busy", headers={"Retry-After": "1"})
        options = {"language": language, "temperature": temperature, "vad_filter": vad_filter}
        async with permits:
            return {"text": await asyncio.to_thread(transcribe, audio, **options)}

    return app


def main() -> None:
    """Load the model, then serve on loopback until stopped."""
    parser = argparse.ArgumentParser(prog="python -m bench.stock", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory of a CTranslate2 Whisper")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--fail-fast", action="store_true", help="answer 503 instead of letting requests wait")
    asked = parser.parse_args()
    whisper = WhisperModel(asked.model, device=asked.device, compute_type=asked.compute_type, local_files_only=True)
    app = create_app(whisper, beam_size=asked.beam_size, fail_fast=asked.fail_fast)
    uvicorn.run(app, host="127.0.0.1", port=asked.port, log_level="warning")


if __name__ == "__main__":
    main()
