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
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.ops.keys import digest_of
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


async def test_a_key_of_the_file_opens_streams_until_it_is_removed(service, tmp_path):
    """Its name is in the log, its second stream gets WAIT, and removing its entry refuses the next connection."""
    path = tmp_path / "keys.toml"
    entries = [
        f'[[key]]\nname = "{name}"\nsha256 = "{digest_of(f"sk-{name}").hex()}"\nconcurrent = 1\n'
        for name in ("alice", "bob")
    ]
    path.write_text("".join(entries))
    headers = {"Authorization": "Bearer sk-alice"}
    with process(service, API_KEYS_FILE=str(path)) as (gateway, port):
        url = f"ws://127.0.0.1:{port}"
        async with (
            connect(url, additional_headers=headers) as first,
            connect(url, additional_headers=headers) as second,
        ):
            await first.send(live.handshake(uid="1"))
            assert json.loads(await first.recv())["message"] == "SERVER_READY"
            await second.send(live.handshake(uid="2"))
            assert json.loads(await second.recv())["status"] == "WAIT"
        (tmp_path / "new.toml").write_text(entries[1])
        (tmp_path / "new.toml").replace(path)
        with pytest.raises(InvalidStatus, match="401"):
            await _connect_until_refused(url, headers)
        gateway.send_signal(signal.SIGTERM)
        _, logged = await asyncio.to_thread(gateway.communicate, timeout=20)
    events = [json.loads(line) for line in logged.splitlines()]
    assert [event["key_name"] for event in events if event["event"] == "session started"] == ["alice"]
    assert any("REMOTE_TRANSCRIBER_API_KEY is empty" in event["event"] for event in events)
    assert "sk-alice" not in logged


async def _connect_until_refused(url, headers):
    async with asyncio.timeout(20):
        while True:
            async with connect(url, additional_headers=headers):
                await asyncio.sleep(0.05)


def test_a_wrong_keys_file_is_one_line(service, tmp_path):
    """It stops the start with status 2."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "streaming"],
        env={**os.environ, "API_KEYS_FILE": str(tmp_path / "none.toml")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"API_KEYS_FILE={tmp_path}/none.toml: cannot be read: No such file or directory\n" in done.stderr


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
