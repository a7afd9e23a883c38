"""Keys with limits as users meet them: the official SDK, a worker process, and the file while the worker runs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from openai import DefaultHttpxClient, OpenAI, RateLimitError

from tests.clients import MULTIPART, PATH, tone_wav
from tests.e2e.worker import Worker, start
from tests.limited_keys import keys_file

ALICE = {"Authorization": "Bearer sk-alice"}
UPLOAD = ("tone.wav", tone_wav())


@contextmanager
def limited(folder: Path, **limits: object) -> Iterator[Worker]:
    """A worker process whose key sk-alice has these limits."""
    with start(MODEL_SIZE="fake", API_KEYS_FILE=keys_file(folder, **limits)) as worker:
        worker.wait_ready()
        yield worker


@contextmanager
def sdk(worker: Worker, on_status: Callable[[int], None]) -> Iterator[OpenAI]:
    """OpenAI's client with the key sk-alice and one retry; `on_status` sees the status of each answer."""
    hooks = {"response": [lambda answer: on_status(answer.status_code)]}
    with OpenAI(
        base_url=f"{worker.url}/v1",
        api_key="sk-alice",
        max_retries=1,
        http_client=DefaultHttpxClient(event_hooks=hooks),
    ) as client:
        yield client


def begin_upload(worker: Worker) -> socket.socket:
    """A request of sk-alice that has begun and does not end."""
    unfinished = socket.create_connection(("127.0.0.1", worker.port))
    head = (
        f"POST {PATH} HTTP/1.1",
        "Host: w",
        "Authorization: Bearer sk-alice",
        f"Content-Type: {MULTIPART.decode()}",
        "Content-Length: 1000000",
    )
    unfinished.sendall("\r\n".join([*head, "", ""]).encode())
    until(lambda: usage(worker)["concurrent"]["used"] == 1)
    return unfinished


def usage(worker: Worker):
    """What sk-alice has used."""
    return httpx.get(f"{worker.url}/v1/usage", headers=ALICE).json()


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again until it holds."""
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_the_sdk_obeys_a_429_once(tmp_path: Path) -> None:
    """It waits as long as it is told, sends the request again, and is served, because a place is free meanwhile."""
    statuses: list[int] = []
    with limited(tmp_path, concurrent=1) as worker:
        unfinished = begin_upload(worker)

        def on_status(status: int) -> None:
            statuses.append(status)
            unfinished.close()

        with sdk(worker, on_status) as client:
            answer = client.audio.transcriptions.create(file=UPLOAD, model="whisper-1", response_format="json")
    assert answer.text
    assert statuses == [429, 200]


def test_the_sdk_does_not_repeat_what_is_hopeless(tmp_path: Path) -> None:
    """The audio of the day is used up: an error with OpenAI's code, after one try."""
    statuses: list[int] = []
    with limited(tmp_path, audio_seconds_per_day=1) as worker, sdk(worker, statuses.append) as client:
        client.audio.transcriptions.create(file=UPLOAD, model="whisper-1")
        with pytest.raises(RateLimitError) as refused:
            client.audio.transcriptions.create(file=UPLOAD, model="whisper-1")
    assert statuses == [200, 429]
    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")


def test_the_sdk_reads_the_rate_limit_headers(tmp_path: Path) -> None:
    """Of a raw response, under OpenAI's names."""
    with limited(tmp_path, requests_per_minute=60) as worker, sdk(worker, lambda _: None) as client:
        raw = client.audio.transcriptions.with_raw_response.create(file=UPLOAD, model="whisper-1")
    assert raw.headers["x-ratelimit-limit-requests"] == "60"
    assert raw.headers["x-ratelimit-remaining-requests"] == "59"
    assert raw.headers["x-ratelimit-reset-requests"].endswith("s")


def test_a_removed_key_is_refused_while_the_worker_runs(tmp_path: Path) -> None:
    """After a wrong file, which changes nothing but one line in the log, a right one without the key."""
    with limited(tmp_path) as worker:
        path = tmp_path / "keys.toml"
        right = path.read_text()
        path.write_text("[[key")
        until(lambda: "keys file not usable" in worker.log)
        assert usage(worker)["name"] == "alice"
        (tmp_path / "new.toml").write_text("[[key]]" + right.split("[[key]]")[2])
        (tmp_path / "new.toml").replace(path)
        until(lambda: httpx.get(f"{worker.url}/v1/usage", headers=ALICE).status_code == 401)
        bob = httpx.get(f"{worker.url}/v1/usage", headers={"X-API-Key": "sk-bob"})
    assert bob.json()["name"] == "bob"
    assert worker.log.count("keys file not usable") == 1
    assert "sk-alice" not in worker.log
