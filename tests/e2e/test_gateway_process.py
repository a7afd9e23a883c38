"""The gateway as people run it: `python -m app streaming`, its exit codes, and what SIGTERM does."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.live import live, tones
from tests.live.backend import Backend, HttpServer


def free_port():
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def process(url, *arguments, **environment):
    """A healthy gateway process; killed at the end if it is still running."""
    port = free_port()
    command = [sys.executable, "-W", "error", "-m", "app", "streaming", "--host", "127.0.0.1", "--port", str(port)]
    started = subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, "REMOTE_TRANSCRIBER_URL": url, "PYTHONASYNCIODEBUG": "1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _until_healthy(port)
        yield started, port
    finally:
        started.kill()
        started.communicate()


def _until_healthy(port):
    for _ in range(200):
        try:
            assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the gateway did not start")


@pytest.fixture(scope="module")
def service():
    """A transcription service that recognises tones."""
    with HttpServer(Backend(delay_s=0.2)) as server:
        yield server.url


async def test_sigterm_flushes_and_exits_with_0(service):
    """A client that is speaking gets its last words and 1012; the process exits with 0 and has logged only JSON."""
    recording = tones.speak([["alpha", "bravo", "charlie"]], tail_s=0, pause_s=0)
    with process(service) as (gateway, port):
        async with connect(f"ws://127.0.0.1:{port}") as ws:
            await ws.send(live.handshake())
            await ws.send(recording.pcm.astype("<f4").tobytes())
            await asyncio.sleep(0.3)
            gateway.send_signal(signal.SIGTERM)
            texts: list[str] = []
            with pytest.raises(ConnectionClosed):
                await _gather(ws, texts)
            assert ws.close_code == 1012
        out = await asyncio.to_thread(gateway.communicate, timeout=20)
        assert gateway.returncode == 0
    assert tones.plain(texts[-1]) == recording.text
    events = [json.loads(line) for line in out[1].splitlines()]
    assert {"listening", "session started", "draining", "session ended", "stopped"} <= {e["event"] for e in events}
    assert not any(word in out[1] for word in recording.text)


async def _gather(ws, texts):
    while True:
        message = json.loads(await ws.recv())
        texts += [segment["text"] for segment in message.get("segments", ()) if segment["completed"]]


def test_idle_process_stops_at_once(service):
    """Without clients, SIGTERM ends it within seconds."""
    with process(service) as (gateway, _):
        gateway.send_signal(signal.SIGTERM)
        gateway.communicate(timeout=10)
        assert gateway.returncode == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_second_signal_ends_at_once(second):
    """A second signal does not wait for last words; the exit status contains the signal, as the worker's does."""
    with HttpServer(Backend(delay_s=60)) as hanging, process(hanging.url) as (gateway, port):
        async with connect(f"ws://127.0.0.1:{port}") as ws:
            await ws.send(live.handshake())
            await ws.send(tones.speak([["alpha", "bravo"]]).pcm.astype("<f4").tobytes())
            await asyncio.sleep(1)
            gateway.send_signal(signal.SIGTERM)
            await asyncio.sleep(1)
            assert gateway.poll() is None
            gateway.send_signal(second)
            await asyncio.to_thread(gateway.communicate, timeout=10)
    assert gateway.returncode == 128 + second


@pytest.mark.parametrize(
    ("host", "keys", "warned"),
    [("0.0.0.0", "", True), ("0.0.0.0", "sk-one", False), ("127.0.0.1", "", False)],  # noqa: S104  what is tested
)
def test_an_open_gateway_on_the_network_warns(service, host, keys, warned):
    """Without keys, and where others can reach it, the log says that anyone can open streams."""
    with process(service, "--host", host, STREAMING_API_KEYS=keys) as (gateway, _):
        gateway.send_signal(signal.SIGTERM)
        _, logged = gateway.communicate(timeout=20)
    events = [json.loads(line) for line in logged.splitlines()]
    warnings = [event["event"] for event in events if event["level"] == "warning"]
    assert any("no API keys" in text for text in warnings) is warned


def test_bad_setting_is_one_line(service):
    """An unusable value stops the start with status 2 and the variable's name."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "streaming"],
        env={**os.environ, "MAX_CLIENTS": "none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("MAX_CLIENTS='none'")
    assert len(done.stderr.splitlines()) == 1
