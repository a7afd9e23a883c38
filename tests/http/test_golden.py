"""Whole answers, from the request to the last byte, against golden files.

The fake engine hears one numbered word a second, so a body depends on nothing but the code.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clients import MODEL, PATH, Worker, tone_wav, upload, worker

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "http"
WAV = tone_wav(32.5)  # two windows
# The one number that depends on the machine.
ETA = re.compile(rb'"eta_s":[\d.]+')


async def answer(running: Worker, **fields: str) -> bytes:
    """The body for two windows of sound."""
    got = await running.client.post(PATH, files=upload(WAV), data={**MODEL, **fields})
    assert got.status_code == 200
    return ETA.sub(b'"eta_s":0.0', got.content)


@pytest.mark.parametrize(
    ("golden", "fields"),
    [
        ("default.json", {}),
        ("json.json", {"response_format": "json"}),
        ("json_logprobs.json", {"response_format": "json", "include[]": "logprobs"}),
        ("verbose.json", {"response_format": "verbose_json"}),
        ("verbose_words.json", {"response_format": "verbose_json", "timestamp_granularities": "word"}),
        ("verbose_words_alone.json", {"response_format": "verbose_json", "timestamp_granularities[]": "word"}),
        ("text.txt", {"response_format": "text"}),
        ("subtitles.srt", {"response_format": "srt"}),
        ("subtitles.vtt", {"response_format": "vtt"}),
        ("stream.sse", {"stream": "true"}),
        ("stream_logprobs.sse", {"stream": "true", "include[]": "logprobs"}),
    ],
)
async def test_bodies(open_worker: Worker, golden: str, fields: dict[str, str]):
    """Every format, byte for byte."""
    assert await answer(open_worker, **fields) == (GOLDEN / golden).read_bytes()


@pytest.mark.parametrize(
    ("golden", "status", "data", "fields"),
    [
        ("error_field.json", 400, WAV, {"temperature": "2"}),
        ("error_unsupported.json", 400, WAV, {"response_format": "diarized_json"}),
        ("error_audio.json", 400, b"test\n", {}),
        ("error_short.json", 400, tone_wav(0.05), {}),
        ("error_model.json", 404, WAV, {"model": "gpt-5"}),
        ("error_size.json", 413, WAV + bytes(2_000_000), {}),
    ],
)
async def test_errors(golden: str, status: int, data: bytes, fields: dict[str, str]):
    """Every sort of refusal, in the envelope."""
    async with worker(strict_models=True, max_upload_bytes=2 << 20) as running:
        got = await running.client.post(PATH, files=upload(data), data={**MODEL, **fields})
    assert (got.status_code, got.content) == (status, (GOLDEN / golden).read_bytes())


async def test_errors_without_a_body_to_read():
    """Keys, types, routes and methods."""
    async with worker(api_keys="sk-right") as running:
        key = {"authorization": "Bearer sk-right"}
        got = {
            "error_no_key.json": await running.client.post(PATH),
            "error_wrong_key.json": await running.client.post(PATH, headers={"x-api-key": "sk-wrong"}),
            "error_type.json": await running.client.post(
                PATH, content=b"x", headers={**key, "content-type": "text/plain"}
            ),
            "error_route.json": await running.client.post("/v1/audio/speech", headers=key),
            "error_method.json": await running.client.get(PATH, headers=key),
        }
        running.state.admission.drain()
        got["error_stopping.json"] = await running.client.post(PATH, headers=key)
    assert [each.status_code for each in got.values()] == [401, 401, 415, 404, 405, 503]
    for golden, each in got.items():
        assert each.content == (GOLDEN / golden).read_bytes(), golden
