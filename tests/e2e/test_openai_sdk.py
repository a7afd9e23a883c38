"""The official OpenAI client, unmodified, against a running worker with the demo model."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from tests.e2e.worker import Worker
from tests.samples import sample

CLIP = sample("en-00.wav")


@pytest.fixture(scope="module")
def client(worker: Worker) -> Iterator[OpenAI]:
    """A client as the documentation of OpenAI shows it, with our address."""
    with OpenAI(base_url=f"{worker.url}/v1", api_key="unused") as openai:
        yield openai


@pytest.fixture
async def async_client(worker: Worker) -> AsyncIterator[AsyncOpenAI]:
    """The asynchronous client."""
    async with AsyncOpenAI(base_url=f"{worker.url}/v1", api_key="unused") as openai:
        yield openai


def test_json(client: OpenAI) -> None:
    """The json format gives the sentence and a usage in seconds."""
    with CLIP.path.open("rb") as file:
        answer = client.audio.transcriptions.create(file=file, model="whisper-1", response_format="json")
    assert CLIP.text == answer.text
    assert answer.usage is not None
    assert answer.usage.to_dict() == {"type": "duration", "seconds": 3}


def test_without_a_format_the_answer_still_parses(client: OpenAI) -> None:
    """The default body is a superset of json: text for OpenAI's clients, segments for Vexa's."""
    with CLIP.path.open("rb") as file:
        answer = client.audio.transcriptions.create(file=file, model="whisper-1")
    assert CLIP.text == answer.text
    assert "segments" in (answer.model_extra or {})


def test_verbose_json(client: OpenAI) -> None:
    """verbose_json has the audio's own duration, the language and true segment times."""
    with CLIP.path.open("rb") as file:
        answer = client.audio.transcriptions.create(file=file, model="whisper-1", response_format="verbose_json")
    assert abs(float(answer.duration) - CLIP.duration_s) < 0.01
    assert answer.language == "en"
    assert answer.segments
    assert 0 <= answer.segments[0].start < answer.segments[-1].end <= CLIP.duration_s + 0.01
    assert answer.words is None


def test_verbose_json_with_words(client: OpenAI) -> None:
    """Asking for words gives each word with its time, without the leading space."""
    with CLIP.path.open("rb") as file:
        answer = client.audio.transcriptions.create(
            file=file, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word", "segment"]
        )
    assert answer.words
    assert CLIP.text.split() == [word.word for word in answer.words]
    assert all(word.start <= word.end for word in answer.words)
    assert answer.segments


@pytest.mark.parametrize(
    ("response_format", "pattern"),
    [
        ("text", r"It's easy to get burned\.\n"),
        ("srt", r"1\n00:00:00,\d{3} --> 00:00:01,\d{3}\nIt's easy to get burned\.\n\n\n"),
        ("vtt", r"WEBVTT\n\n00:00:00\.\d{3} --> 00:00:01\.\d{3}\nIt's easy to get burned\.\n\n"),
    ],
)
def test_texts(client: OpenAI, response_format: str, pattern: str) -> None:
    """text, srt and vtt reach the caller as plain strings in OpenAI's layout."""
    with CLIP.path.open("rb") as file:
        answer = client.audio.transcriptions.create(
            file=file,
            model="whisper-1",
            response_format=response_format,  # type: ignore[call-overload]
        )
    assert re.fullmatch(pattern, answer)


async def test_the_asynchronous_client(async_client: AsyncOpenAI) -> None:
    """The asynchronous client gets the same text, from bytes without a file name."""
    answer = await async_client.audio.transcriptions.create(
        file=CLIP.path.read_bytes(), model="anything", response_format="json", language="en", prompt="Fire."
    )
    assert "burned" in answer.text


def test_bytes_that_are_no_audio(client: OpenAI) -> None:
    """The client raises BadRequestError with the field and a code, and does not retry."""
    with pytest.raises(BadRequestError) as caught:
        client.audio.transcriptions.create(file=b"this is no audio at all", model="whisper-1")
    assert caught.value.param == "file"
    assert caught.value.code == "unsupported_format"


def test_models(client: OpenAI) -> None:
    """Models are listed, found by id, and an unknown id with a slash is a NotFoundError."""
    ids = [model.id for model in client.models.list()]
    assert ids[0] == "demo"
    assert "whisper-1" in ids
    assert client.models.retrieve("whisper-1").id == "whisper-1"
    with pytest.raises(NotFoundError) as caught:
        client.models.retrieve("Systran/faster-whisper-small")
    assert caught.value.code == "model_not_found"
