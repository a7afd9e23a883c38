from types import SimpleNamespace

import httpx
import pytest

from bench.stock import create_app


class FakeWhisper:
    """Says what it was asked with."""

    def transcribe(self, audio, **options: object):
        """Two segments: the bytes, the options."""
        texts = (f" {audio.read().decode()}", f" {sorted(options.items())}")
        return (SimpleNamespace(text=text) for text in texts), None


@pytest.fixture
async def client():
    """A client of the plain design over a fake model."""
    transport = httpx.ASGITransport(create_app(FakeWhisper(), beam_size=3, fail_fast=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://stock") as client:
        yield client


async def test_answers_as_the_worker_does(client):
    """Same route, same body: the segments' texts joined, without the first space."""
    answer = await client.post(
        "/v1/audio/transcriptions", data={"language": "en", "temperature": "0"}, files={"file": ("a.wav", b"audio")}
    )
    options = [("beam_size", 3), ("language", "en"), ("temperature", 0.0), ("vad_filter", False)]
    assert answer.json() == {"text": f"audio {options}"}


async def test_is_ready_once_it_serves(client):
    """The model is loaded before the server starts."""
    assert (await client.get("/health/ready")).status_code == 200
