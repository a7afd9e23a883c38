"""Requests in the shapes in which other clients of OpenAI's API send them, byte for byte.

Each row is one client: its headers, its parts in its order, and what it reads of the answer. The
shapes are those of the clients' sources; what is the same for all of them is in `docs/api.md`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.e2e.worker import Worker, start
from tests.samples import sample

CLIP = sample("en-00.wav")
AUDIO = CLIP.path.read_bytes()
TRANSCRIPTIONS = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"

Part = tuple[str, bytes | str, str | None, str | None]  # name, data, filename, type


def audio(filename: str | None = "audio.wav", kind: str | None = "audio/wav") -> Part:
    """The file as a client names it."""
    return ("file", AUDIO, filename, kind)


def fields(**values: str) -> list[Part]:
    """Plain fields."""
    return [(name, value, None, None) for name, value in values.items()]


def listed(name: str, *values: str) -> list[Part]:
    """One part for each item."""
    return [(name, value, None, None) for value in values]


def multipart(boundary: str, parts: list[Part]) -> bytes:
    """The body, written out."""
    body = b""
    for name, data, filename, kind in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        body += f'; filename="{filename}"'.encode() if filename is not None else b""
        body += f"\r\nContent-Type: {kind}".encode() if kind is not None else b""
        body += b"\r\n\r\n" + (data.encode() if isinstance(data, str) else data) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def has_text(answer: httpx.Response) -> None:
    """`.text` of a JSON body."""
    assert answer.headers["content-type"] == "application/json"
    assert "burned" in answer.json()["text"]


def has_openais_json(answer: httpx.Response) -> None:
    """Text, languages and usage, nothing else."""
    assert set(answer.json()) == {"text", "languages", "usage"}
    has_text(answer)


def has_ten_typed_fields(answer: httpx.Response) -> None:
    """What parsers with types (zod, Go, dotnet, java) demand of verbose_json."""
    body = answer.json()
    has_text(answer)
    assert isinstance(body["duration"], float)
    assert isinstance(body["language"], str)
    floats = ("start", "end", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob")
    for segment in body["segments"]:
        assert isinstance(segment["id"], int)
        assert isinstance(segment["seek"], int)
        assert all(isinstance(segment[name], float) for name in floats)
        assert all(isinstance(token, int) for token in segment["tokens"])
        assert isinstance(segment["text"], str)


def has_top_level_words(answer: httpx.Response) -> None:
    """OpenAI's words."""
    assert [word["word"] for word in answer.json()["words"]] == CLIP.text.split()


def has_segments_with_words(answer: httpx.Response) -> None:
    """Both granularities."""
    has_top_level_words(answer)
    has_ten_typed_fields(answer)


def has_logprobs(answer: httpx.Response) -> None:
    """Tokens that spell the text."""
    body = answer.json()
    assert "".join(each["token"] for each in body["logprobs"]).strip() == body["text"]


def is_plain(begins: str) -> Callable[[httpx.Response], None]:
    """A plain text that begins so; the .NET client throws on any other type."""

    def check(answer: httpx.Response) -> None:
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text.startswith(begins)

    return check


def is_stream(answer: httpx.Response) -> None:
    """Deltas for clients that read only deltas, a done event for clients that read only that, and `[DONE]`."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    datas = [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]
    *deltas, done = [json.loads(data) for data in datas[:-1]]
    assert datas[-1] == "[DONE]"
    assert "".join(each["delta"] for each in deltas) == done["text"]
    assert "burned" in done["text"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One client's request."""

    client: str
    parts: list[Part]
    reads: Callable[[httpx.Response], None]
    path: str = TRANSCRIPTIONS
    boundary: str = "----WebKitFormBoundaryAbC123"
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False


STAINLESS = {
    "accept": "application/json",
    "user-agent": "OpenAI/Python 3.52.0",
    "x-stainless-lang": "python",
    "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600",
    "openai-organization": "",
}
SHAPES = [
    Shape("openai-java, bytes without a filename", [*fields(model="whisper-1"), ("file", AUDIO, None, None)], has_text),
    Shape(
        "openai-java, a stream",
        [
            ("model", "gpt-4o-transcribe", None, "text/plain"),
            ("stream", "true", None, "text/plain"),
            ("include[]", "logprobs", None, "text/plain"),
            ("chunking_strategy[type]", "server_vad", None, "text/plain"),
            ("chunking_strategy[threshold]", "0.5", None, "text/plain"),
            audio(None, "application/octet-stream"),
        ],
        is_stream,
        headers={"accept": "text/event-stream"},
    ),
    Shape(
        "openai-dotnet, arrays and objects as JSON parts",
        [
            audio("audio.wav", "application/octet-stream"),
            ("model", "whisper-1", None, "text/plain; charset=utf-8"),
            ("response_format", "verbose_json", None, "text/plain"),
            ("timestamp_granularities", '["word","segment"]', None, "application/json"),
            ("chunking_strategy", '{"type":"server_vad","threshold":0.4}', None, "application/json"),
        ],
        has_segments_with_words,
    ),
    Shape("openai-dotnet, srt", [audio(), *fields(model="whisper-1", response_format="srt")], is_plain("1\n00:00")),
    Shape(
        "openai-node, a file without a name",
        [("file", AUDIO, "unknown_file", "application/octet-stream"), *fields(model="whisper-1")],
        has_text,
    ),
    Shape(
        "openai-python, odd extra fields",
        [
            *fields(model="whisper-1", language="", prompt="", stream="false", vad_filter="false"),
            *listed("temperature[]", "0"),
            audio("upload", "application/octet-stream"),
        ],
        has_text,
        headers=STAINLESS,
    ),
    Shape(
        "LangChain's parser",
        [*fields(model="whisper-1"), ("file", AUDIO, "/home/anna/talk ü.mp3_part_0.mp3", "audio/mpeg")],
        has_text,
        headers=STAINLESS,
    ),
    Shape(
        "aider through LiteLLM",
        [
            *fields(model="whisper-1", prompt="USER fix the bug\nASSISTANT done\n" * 200, language="en"),
            audio("tmp.wav"),
        ],
        lambda answer: answer.json()["text"],  # a model this small is led astray by a chat history
    ),
    Shape(
        "go-openai",
        [audio("en.wav", "application/octet-stream"), *fields(model="whisper-1", temperature="0.00", language="en"),
         *fields(response_format="verbose_json"), *listed("timestamp_granularities[]", "segment")],
        has_ten_typed_fields,
    ),
    Shape("Open WebUI", [audio("b1c2.wav"), *fields(model="whisper-1")], has_text),
    Shape(
        "Home Assistant",
        [*fields(model="gpt-4o-mini-transcribe", language="en", prompt="", response_format="json"), audio("a.wav")],
        has_openais_json,
        headers=STAINLESS,
    ),
    Shape(
        "Home Assistant in Manila, whose language the model calls otherwise",
        [*fields(model="gpt-4o-mini-transcribe", language="fil", response_format="json"), audio("a.wav")],
        lambda answer: answer.json()["text"],
    ),
    Shape(
        "openai_stt_ha",
        [audio(), *fields(model="whisper-1", language="en-US", prompt="", temperature="0", response_format="json")],
        has_openais_json,
    ),
    Shape(
        "wyoming_openai",
        [*fields(model="whisper-1", language="en", response_format="json", stream="true", temperature="0.0"),
         *fields(vad_filter="false"), audio()],
        is_stream,
        headers=STAINLESS,
    ),
    Shape("n8n", [audio("data.wav"), *fields(model="whisper-1")], has_text, chunked=True),
    Shape(
        "n8n, a translation of unknown length",
        [audio("data.wav"), *fields(model="whisper-1", temperature="0")],
        lambda answer: answer.json()["text"],
        path=TRANSLATIONS,
        chunked=True,
    ),
    Shape(
        "Vercel AI SDK",
        [*fields(model="whisper-1"), audio("audio.wav"), *listed("timestamp_granularities[]", "segment"),
         *fields(response_format="verbose_json", temperature="0", language="en")],
        has_ten_typed_fields,
    ),
    Shape(
        "Vercel AI SDK, log-probabilities with its verbose format",
        [*fields(model="whisper-1"), audio("audio.wav"), *listed("include[]", "logprobs"),
         *fields(response_format="verbose_json")],
        has_logprobs,
    ),
    Shape(
        "LiveKit Agents",
        [*fields(model="gpt-transcribe", response_format="json"), *listed("languages[]", "en", "de"),
         *listed("keywords[]", "LiveKit", "Vexa"), audio("file.wav")],
        has_openais_json,
        headers=STAINLESS,
    ),
    Shape(
        "Pipecat",
        [*fields(model="gpt-4o-transcribe", language="en", response_format="json"), *listed("include[]", "logprobs"),
         audio()],
        has_logprobs,
        headers=STAINLESS,
    ),
    Shape("LibreChat", [audio("audio.wav"), *fields(model="whisper-1", language="en")], has_text, chunked=True),
    Shape(
        "Obsidian",
        [audio("Recording 1.webm", "audio/webm"), *fields(model="whisper-1", language="", prompt="")],
        has_text,
        headers={"origin": "app://obsidian.md"},
    ),
    Shape("Dify", [audio("temp.mp3", "audio/mp3"), *fields(model="whisper-1")], has_text),
    Shape(
        "Spring AI",
        [audio("audio.webm", "application/octet-stream"),
         *fields(model="whisper-1", response_format="verbose_json", temperature="0.0"),
         *listed("timestamp_granularities[]", "word")],
        has_top_level_words,
    ),
    Shape(
        "Subtitle Edit",
        [*fields(model="whisper-1", response_format="verbose_json", language="en"),
         *listed("timestamp_granularities[]", "segment", "word"), audio()],
        has_segments_with_words,
    ),
    Shape("Subtitle Edit, streaming", [*fields(model="m", response_format="json", stream="True"), audio()], is_stream),
    Shape("curl, a comma list", [audio(), *fields(model="m", timestamp_granularities="word,segment")],
          has_segments_with_words),
    Shape("whisper.cpp's users", [audio(), *fields(model="m", response_format="vtt")], is_plain("WEBVTT\n\n00:00:00.")),
]  # fmt: skip


def pieces(body: bytes) -> Iterator[bytes]:
    """A body without a Content-Length."""
    for begin in range(0, len(body), 4096):
        yield body[begin : begin + 4096]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.client)
def test_client_gets_what_it_reads(worker: Worker, shape: Shape) -> None:
    """200, and the body holds what this client looks for, with the types it looks for."""
    body = multipart(shape.boundary, shape.parts)
    answer = httpx.post(
        worker.url + shape.path,
        content=pieces(body) if shape.chunked else body,
        headers={
            "authorization": "Bearer sk-none",
            "content-type": f"multipart/form-data; boundary={shape.boundary}",
            **shape.headers,
        },
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    shape.reads(answer)


def test_open_webui_in_json(worker: Worker) -> None:
    """AUDIO_STT_OPENAI_API_REQUEST_FORMAT=json: the file in base64."""
    body: dict[str, Any] = {
        "model": "whisper-1",
        "input_audio": {"data": base64.b64encode(AUDIO).decode(), "format": "wav"},
        "language": "en",
    }
    has_text(httpx.post(worker.url + TRANSCRIPTIONS, json=body, headers={"authorization": "Bearer k"}, timeout=60))


def test_open_webui_reads_the_message_of_an_error(worker: Worker) -> None:
    """It shows `error.message`, and tries again once without the language."""
    files, data = {"file": ("a.wav", AUDIO, "audio/wav")}, {"model": "whisper-1", "language": "xx"}
    refused = httpx.post(worker.url + TRANSCRIPTIONS, files=files, data=data)
    assert refused.status_code == 400
    assert "xx" in refused.json()["error"]["message"]
    has_text(httpx.post(worker.url + TRANSCRIPTIONS, files=files, data={"model": "whisper-1"}, timeout=60))


def test_n8n_tests_its_credentials() -> None:
    """`GET /v1/models`: 200 with the key, 401 with another."""
    with start(MODEL_SIZE="fake", API_KEYS="sk-right", CORS_ORIGINS="app://obsidian.md") as keyed:
        keyed.wait_ready()
        statuses = [
            httpx.get(f"{keyed.url}/v1/models", headers={"authorization": f"Bearer {key}"}).status_code
            for key in ("sk-right", "sk-wrong")
        ]
        # Obsidian's window asks for permission first, without the key
        preflight = httpx.options(
            keyed.url + TRANSCRIPTIONS,
            headers={
                "origin": "app://obsidian.md",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization",
            },
        )
    assert statuses == [200, 401]
    assert preflight.headers["access-control-allow-origin"] == "app://obsidian.md"


def test_wyoming_probes_above_v1(worker: Worker) -> None:
    """`/health`, not `/v1/health`."""
    assert httpx.get(f"{worker.url}/health").status_code == 200
