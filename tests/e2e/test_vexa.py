"""Both generations of Vexa's clients, byte for byte as they send."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.e2e.worker import Worker
from tests.samples import sample

CLIP = sample("en-00.wav")
REFUSED = re.compile(r"invalid.*token|invalid.*api.*key|forbidden|unauthorized", re.IGNORECASE)


def part(boundary: str, name: str, value: str) -> bytes:
    """One plain field as both clients write it."""
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file_part(boundary: str, audio: bytes) -> bytes:
    """The audio part as both clients write it."""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="audio.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    return head.encode() + audio + b"\r\n"


def send(worker: Worker, path: str, boundary: str, body: bytes, **headers: str) -> httpx.Response:
    """Post the bytes as they are."""
    content_type = f"multipart/form-data; boundary={boundary}"
    return httpx.post(worker.url + path, content=body, headers={"Content-Type": content_type, **headers}, timeout=30)


def check_body(body: dict[str, object]) -> None:
    """What both generations read, with the types they read it as."""
    assert CLIP.text == body["text"]
    assert body["language"] == "en"
    assert isinstance(body["language_probability"], float)
    assert abs(float(str(body["duration"])) - CLIP.duration_s) < 0.01
    segments = body["segments"]
    assert isinstance(segments, list)
    for segment in segments:
        assert segment["text"].startswith(" ")
        assert segment["end"] > segment["start"] >= 0
        assert (segment["audio_start"], segment["audio_end"]) == (segment["start"], segment["end"])
        for key in ("id", "seek", "tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"):
            assert key in segment


@pytest.mark.parametrize("tier", ["realtime", "deferred"])
def test_gen_1(worker: Worker, tier: str) -> None:
    """RemoteTranscriber: plain fields first, file last, bare granularity, tier in field and header."""
    boundary = "9d1f2c3b4a5e6f708192a3b4c5d6e7f8"
    fields = {
        "model": "default",
        "temperature": "0",
        "transcription_tier": tier,
        "vad_model": "silero",
        "language": "en",
        "response_format": "verbose_json",
        "timestamp_granularities": "segment",
    }
    body = b"".join(part(boundary, name, value) for name, value in fields.items())
    body += file_part(boundary, CLIP.path.read_bytes()) + f"--{boundary}--\r\n".encode()
    answer = send(
        worker,
        "/v1/audio/transcriptions",
        boundary,
        body,
        **{"Authorization": "Bearer k", "X-Transcription-Tier": tier},
    )
    assert answer.status_code == 200
    check_body(answer.json())
    assert answer.json()["language_probability"] == 1.0


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/v1/audio/transcriptions"])
def test_gen_2(worker: Worker, path: str) -> None:
    """TranscriptionClient: file first, word granularity, fractional milliseconds; words in segments."""
    boundary = "----FormBoundarym2k9x1ab"
    body = file_part(boundary, CLIP.path.read_bytes())
    for name, value in (
        ("model", "whisper-1"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities", "word"),
        ("max_speech_duration_s", "15"),
        ("min_silence_duration_ms", "100.5"),
    ):
        body += part(boundary, name, value)
    answer = send(worker, path, boundary, body + f"--{boundary}--\r\n".encode())
    assert answer.status_code == 200
    check_body(answer.json())
    words = answer.json()["segments"][0]["words"]
    assert words[0]["word"] == " It's"
    assert {"word", "start", "end", "probability"} == set(words[0])


def test_start_up_probe(worker: Worker) -> None:
    """A text file as audio answers 400 at once, without the words the start-up script looks for."""
    boundary = "------------------------d74496d66958873e"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="tmp.Xa2"\r\n'
        "Content-Type: application/octet-stream\r\n\r\ntest\n\r\n"
    )
    body = head.encode() + part(boundary, "model", "test") + f"--{boundary}--\r\n".encode()
    answer = send(worker, "/v1/audio/transcriptions", boundary, body)
    assert answer.status_code == 400
    assert not any(REFUSED.search(line) for line in answer.text.splitlines())


def test_deferred_job_without_a_format(worker: Worker) -> None:
    """A request without response_format is answered with segments."""
    answer = httpx.post(
        f"{worker.url}/v1/audio/transcriptions",
        data={"model": "large-v3-turbo"},
        files={"file": ("recording.wav", CLIP.path.read_bytes(), "audio/wav")},
        timeout=30,
    )
    check_body(answer.json())


def test_health_reads_as_vexa_expects(worker: Worker) -> None:
    """/health says healthy with the fields of Vexa's own service, as strings and booleans."""
    body = httpx.get(f"{worker.url}/health").json()
    assert body["status"] == "healthy"
    assert body["worker_id"] == "1"
    assert (body["model"], body["device"], body["gpu_available"]) == ("demo", "cpu", False)
    assert body["slots"] >= 1
    assert body["active"] == body["queued"] == 0
