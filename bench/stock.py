"""The plain design to compare with: faster-whisper with its default settings, behind a semaphore of 2.

Most self-hosted servers work like this: one `WhisperModel` with its default settings, a thread per request, at most
two at once. It has the same route and the same answer as the worker. By default further requests wait, so that the
throughput of both designs can be compared. A request's temperature is passed on, as such servers do: 0 means one
attempt, without the sampled retries whose text is random.

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
    """Return the plain server for a loaded model."""
    app = FastAPI()
    permits = asyncio.Semaphore(N_PERMITS)

    def transcribe(audio: bytes, **options: Any) -> str:
        segments, _ = whisper.transcribe(io.BytesIO(audio), beam_size=beam_size, **options)
        return "".join(segment.text for segment in segments).strip()

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        """Answer 200: the model is loaded before the server starts."""
        return {"status": "ready"}

    @app.post("/v1/audio/transcriptions")
    async def create_transcription(
        file: UploadFile,
        language: Annotated[str | None, Form()] = None,
        temperature: Annotated[float, Form()] = 0.0,
        vad_filter: Annotated[bool, Form()] = False,  # noqa: FBT002 - a form field
    ) -> dict[str, str]:
        """Transcribe an upload."""
        audio = await file.read()
        if fail_fast and permits.locked():
            raise HTTPException(503, "busy", headers={"Retry-After": "1"})
        options = {"language": language, "temperature": temperature, "vad_filter": vad_filter}
        async with permits:
            return {"text": await asyncio.to_thread(transcribe, audio, **options)}

    return app


def main() -> None:
    """Load the model, then serve on loopback until a signal."""
    parser = argparse.ArgumentParser(prog="python -m bench.stock", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory of a CTranslate2 Whisper")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--fail-fast", action="store_true", help="answer 503 instead of letting requests wait")
    args = parser.parse_args()
    whisper = WhisperModel(args.model, device=args.device, compute_type=args.compute_type, local_files_only=True)
    app = create_app(whisper, beam_size=args.beam_size, fail_fast=args.fail_fast)
    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
