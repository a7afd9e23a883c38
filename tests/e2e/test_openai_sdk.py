"""The official OpenAI client, unmodified, against a running worker with the demo model."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, InternalServerError, NotFoundError, OpenAI
from openai.types.audio import (
    Transcription,
    TranscriptionStreamEvent,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
)

from tests.e2e.worker import Worker, start
from tests.samples import beginning, sample

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


def check_stream(events: list[TranscriptionStreamEvent]) -> None:
    """Typed deltas that add up to the text of the one done event, which is last and has its usage."""
    *deltas, done = events
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert deltas
    assert all(isinstance(event, TranscriptionTextDeltaEvent) for event in deltas)
    assert "".join(event.delta for event in deltas if isinstance(event, TranscriptionTextDeltaEvent)) == done.text
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens


def test_stream(client: OpenAI) -> None:
    """Several windows: several deltas, in the order of their times."""
    with client.audio.transcriptions.create(
        file=("long.wav", beginning("long-en.wav", 12.0)), model="gpt-4o-transcribe", stream=True
    ) as stream:
        events = list(stream)
    check_stream(events)
    starts = [(event.model_extra or {})["segment"]["start"] for event in events[:-1]]
    assert len(starts) > 1
    assert starts == sorted(starts)


async def test_asynchronous_stream(async_client: AsyncOpenAI) -> None:
    """The asynchronous client reads the same events."""
    stream = await async_client.audio.transcriptions.create(
        file=CLIP.path.read_bytes(), model="whisper-1", stream=True, response_format="json"
    )
    check_stream([event async for event in stream])


def test_stream_of_bytes_that_are_no_audio(client: OpenAI) -> None:
    """What is known before the first event is an ordinary error, not an event."""
    with pytest.raises(BadRequestError):
        client.audio.transcriptions.create(file=b"this is no audio at all", model="whisper-1", stream=True)


def test_logprobs_chunking_and_extra_fields(client: OpenAI) -> None:
    """Real log-probabilities whose tokens are the text; an object as chunking strategy; fields beside OpenAI's."""
    answer = client.audio.transcriptions.create(
        file=CLIP.path.read_bytes(),
        model="gpt-4o-mini-transcribe",
        response_format="json",
        include=["logprobs"],
        chunking_strategy={"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 500},
        extra_body={"hotwords": "burned", "languages": ["en", "de"], "vad_filter": False},
    )
    assert isinstance(answer, Transcription)
    assert answer.logprobs
    said = b"".join(bytes(int(byte) for byte in each.bytes or []) for each in answer.logprobs)
    assert said.decode().strip() == answer.text
    assert all(each.logprob is not None and each.logprob <= 0 for each in answer.logprobs)


def test_logprobs_of_a_stream(client: OpenAI) -> None:
    """The done event repeats those of the deltas."""
    stream = client.audio.transcriptions.create(
        file=CLIP.path.read_bytes(), model="whisper-1", stream=True, include=["logprobs"]
    )
    *deltas, done = list(stream)
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert done.logprobs
    told = [each for event in deltas if isinstance(event, TranscriptionTextDeltaEvent) for each in event.logprobs or []]
    assert len(told) == len(done.logprobs)


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_translation(client: OpenAI) -> None:
    """The other route, in OpenAI's own default format; what comes is the demo model's idea of English."""
    answer = client.audio.translations.create(file=CLIP.path.read_bytes(), model="whisper-1")
    assert answer.text
    assert not (answer.model_extra or {}).keys() & {"segments", "language"}


def test_what_cannot_be_honoured(client: OpenAI) -> None:
    """diarized_json is refused with OpenAI's own code and parameter."""
    with pytest.raises(BadRequestError) as caught:
        client.audio.transcriptions.create(
            file=CLIP.path.read_bytes(), model="gpt-4o-transcribe-diarize", response_format="diarized_json"
        )
    assert (caught.value.param, caught.value.code) == ("response_format", "unsupported_value")


def test_busy_is_retried_until_it_is_served() -> None:
    """One slot, taken by a long file: without retries a 503, with the SDK's own retries the text."""
    with start(MODEL_SIZE="demo", MAX_CONCURRENT_TRANSCRIPTIONS="1") as worker:
        worker.wait_ready()
        patient = OpenAI(base_url=f"{worker.url}/v1", api_key="unused", max_retries=30)
        long = threading.Thread(
            target=patient.audio.transcriptions.create,
            kwargs={"file": ("long.wav", beginning("long-en.wav", 20.0)), "model": "whisper-1"},
        )
        long.start()
        give_up = time.monotonic() + 30
        while httpx.get(f"{worker.url}/health").json()["active"] == 0:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        with pytest.raises(InternalServerError) as caught:
            patient.with_options(max_retries=0).audio.transcriptions.create(
                file=CLIP.path.read_bytes(), model="whisper-1"
            )
        served = patient.audio.transcriptions.create(
            file=CLIP.path.read_bytes(), model="whisper-1", response_format="json"
        )
        long.join()
        counted = httpx.get(f"{worker.url}/metrics").text
        patient.close()
    assert caught.value.status_code == 503
    assert caught.value.code == "server_is_overloaded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60
    assert served.text == CLIP.text
    (rejected,) = re.findall(
        r'requests_total{code="503",endpoint="transcriptions",outcome="rejected_busy"} ([\d.]+)', counted
    )
    assert float(rejected) >= 2
