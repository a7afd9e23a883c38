"""Clients for tests of a real cluster: many at once, each answer with its time."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.real import AUDIO

CLIENT_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, headers, JSON body and how long it took."""

    status: int
    headers: httpx.Headers
    body: dict[str, Any]
    took_s: float


def audio(*names: str) -> bytes:
    """Return these samples of tests/audio, joined into one WAV file."""
    joined = io.BytesIO()
    with wave.open(joined, "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        for name in names:
            with wave.open(str(AUDIO / f"{name}.wav"), "rb") as part:
                out.writeframes(part.readframes(part.getnframes()))
    return joined.getvalue()


async def post(client: httpx.AsyncClient, url: str, wav: bytes) -> Answer:
    """Transcribe once."""
    begun_s = time.perf_counter()
    response = await client.post(
        url, files={"file": ("audio.wav", wav, "audio/wav")}, data={"model": "whisper-1", "language": "en"}
    )
    return Answer(response.status_code, response.headers, response.json(), time.perf_counter() - begun_s)


async def post_all(url: str, wavs: Sequence[bytes]) -> list[Answer]:
    """Transcribe all of them at once."""
    async with new_client() as client:
        return list(await asyncio.gather(*(post(client, url, wav) for wav in wavs)))


def new_client() -> httpx.AsyncClient:
    """Return a client without a limit on connections."""
    return httpx.AsyncClient(
        timeout=CLIENT_TIMEOUT_S, limits=httpx.Limits(max_connections=None, max_keepalive_connections=None)
    )


def files_below(folder: Path) -> list[Path]:
    """Return every regular file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]
