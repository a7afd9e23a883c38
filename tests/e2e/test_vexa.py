"""Both generations of Vexa's clients, byte for byte as they send."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import urllib.request
import wave

import httpx
import numpy as np
import pytest

from app.core.languages import NAMES
from tests.e2e.worker import Worker, start
from tests.samples import beginning, sample

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


@pytest.mark.parametrize("key", [None, "sk-right"])
def test_container_start(key: str | None) -> None:
    """The whole of the start-up script: health without and with the key, then a text file as audio.

    It gives up on 401 and 403, on words about keys in the answer, and after five seconds.
    """
    with start(MODEL_SIZE="fake", **({"API_KEYS": key} if key else {})) as worker:
        worker.wait_ready()
        bearer = {"Authorization": f"Bearer {key or 'anything'}"}
        for path in ("/health", "/"):
            assert httpx.get(worker.url + path, timeout=5).is_success
            assert httpx.get(worker.url + path, headers=bearer, timeout=5).is_success
        answer = httpx.post(
            f"{worker.url}/v1/audio/transcriptions",
            files={"file": ("tmp.Xa2", b"test\n", "application/octet-stream")},
            data={"model": "test"},
            headers=bearer,
            timeout=5,
        )
        refused = httpx.get(f"{worker.url}/v1/models", headers={"Authorization": "Bearer wrong"}, timeout=5)
    assert answer.status_code == 400
    assert not any(REFUSED.search(line) for line in answer.text.splitlines())
    assert refused.status_code == (401 if key else 200)


def tone(seconds: float = 1.0) -> bytes:
    """The probe's sound: 153 Hz, amplitude 6000, 16 kHz mono."""
    samples = (6000 * np.sin(np.arange(int(16_000 * seconds)) * 2 * np.pi * 153 / 16_000)).astype("<i2")
    body = io.BytesIO()
    with wave.open(body, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(samples.tobytes())
    return body.getvalue()


def test_boot_probe_and_wizard(worker: Worker) -> None:
    """The preflight's tone with Python's own HTTP client: 2xx and JSON with `text`, which may be empty."""
    boundary = "probe0123456789"
    body = part(boundary, "model", "whisper-1") + part(boundary, "response_format", "json")
    body += file_part(boundary, tone()).replace(b"audio.wav", b"probe.wav") + f"--{boundary}--\r\n".encode()
    request = urllib.request.Request(  # noqa: S310 - the address is the test's own worker
        f"{worker.url}/v1/audio/transcriptions",
        data=body,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}", "Authorization": "Bearer k"},
    )
    with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310 - as above
        assert answer.status == 200
        assert isinstance(json.loads(answer.read())["text"], str)


def test_wizard_looks_for_a_balance_first(worker: Worker) -> None:
    """There is none here: a 404 in the envelope, which the wizard ignores."""
    answer = httpx.get(f"{worker.url}/balance", headers={"X-API-Key": "k"})
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_dictation(worker: Worker) -> None:
    """The terminal's client: verbose, words, the text so far as prompt; it reads text and words in segments."""
    answer = httpx.post(
        f"{worker.url}/v1/audio/transcriptions",
        data={
            "model": "whisper-1",
            "response_format": "verbose_json",
            "timestamp_granularities": "word",
            "prompt": "Fire\r\nis hot.",
        },
        files={"file": ("dictation.wav", CLIP.path.read_bytes(), "audio/wav")},
        timeout=30,
    )
    body = answer.json()
    assert "burned" in body["text"]
    assert body["segments"][0]["words"][0]["word"].startswith(" ")


def test_quality_and_load_tools(worker: Worker) -> None:
    """One sends its key as X-API-Key, the other nothing but file and model."""
    file = {"file": ("audio.wav", CLIP.path.read_bytes(), "audio/wav")}
    url = f"{worker.url}/v1/audio/transcriptions"
    quality = httpx.post(
        url,
        files=file,
        data={"model": "whisper-1", "response_format": "verbose_json", "timestamp_granularities": "segment"},
        headers={"X-API-Key": "k"},
        timeout=30,
    )
    stress = httpx.post(url, files=file, data={"model": "whisper-1"}, timeout=30)
    check_body(quality.json())
    check_body(stress.json())


def test_long_window_comes_in_segments_that_can_be_committed(worker: Worker) -> None:
    """Of more than one segment WhisperLive commits all but the last: twenty seconds give several, in order."""
    answer = httpx.post(
        f"{worker.url}/v1/audio/transcriptions",
        data={"model": "default", "response_format": "verbose_json", "transcription_tier": "realtime"},
        files={"file": ("audio.wav", beginning("long-en.wav", 20.0), "audio/wav")},
        timeout=60,
    )
    segments = answer.json()["segments"]
    assert len(segments) > 2
    assert all(segment["end"] - segment["start"] < 15 for segment in segments)
    assert [segment["start"] for segment in segments] == sorted(segment["start"] for segment in segments)


@pytest.mark.parametrize("language", ["unknown", "auto", "", None])
def test_language_that_comes_back_is_one_that_can_be_sent_again(worker: Worker, language: str | None) -> None:
    """The first answer's language is locked for the whole stream: a known code, also for silence."""
    for sound in (CLIP.path.read_bytes(), tone(2.0)[:44] + bytes(64_000)):
        data = {"model": "default", "response_format": "verbose_json"}
        answer = httpx.post(
            f"{worker.url}/v1/audio/transcriptions",
            data=data if language is None else {**data, "language": language},
            files={"file": ("audio.wav", sound, "audio/wav")},
            timeout=30,
        )
        body = answer.json()
        assert body["language"] in NAMES
        assert body["duration"] >= 2.0
        again = httpx.post(
            f"{worker.url}/v1/audio/transcriptions",
            data={**data, "language": body["language"]},
            files={"file": ("audio.wav", sound, "audio/wav")},
            timeout=30,
        )
        assert (again.status_code, again.json()["language_probability"]) == (200, 1.0)


def test_busy_answer_of_both_tiers() -> None:
    """503 with Retry-After in whole seconds, which for live text is what its client can wait: one or two."""
    with start(MODEL_SIZE="demo", MAX_CONCURRENT_TRANSCRIPTIONS="1") as worker:
        worker.wait_ready()
        url = f"{worker.url}/v1/audio/transcriptions"
        long = threading.Thread(
            target=httpx.post,
            args=(url,),
            kwargs={
                "files": {"file": ("a.wav", beginning("long-en.wav", 30.0))},
                "data": {"model": "m"},
                "timeout": 120,
            },
        )
        long.start()
        give_up = time.monotonic() + 30
        while httpx.get(f"{worker.url}/health").json()["active"] == 0:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        answers = [
            httpx.post(
                url,
                files={"file": ("audio.wav", CLIP.path.read_bytes())},
                data={"model": "default", "transcription_tier": tier},
                headers={"X-Transcription-Tier": tier},
                timeout=30,
            )
            for tier in ("realtime", "deferred")
        ]
        long.join()
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].headers["retry-after"] in ("1", "2")
    assert 1 <= int(answers[1].headers["retry-after"]) <= 60


def test_health_reads_as_vexa_expects(worker: Worker) -> None:
    """/health says healthy with the fields of Vexa's own service, as strings and booleans."""
    body = httpx.get(f"{worker.url}/health").json()
    assert body["status"] == "healthy"
    assert body["worker_id"] == "1"
    assert (body["model"], body["device"], body["gpu_available"]) == ("demo", "cpu", False)
    assert body["slots"] >= 1
    assert body["active"] == body["queued"] == 0
