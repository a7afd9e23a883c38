"""The server on a real port: hostile and broken clients must not affect it or other clients."""

import asyncio
import base64
import contextlib
import json
import socket as sockets

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.commands.streaming import serve
from app.live.admission import StreamLimits
from app.live.session.connection import SessionLimits
from tests.live import live, real, tones
from tests.live.backend import Backend, HttpServer

SPEECH = tones.chatter(6, seed=5)


@pytest.fixture(scope="module")
def service():
    """A transcription service that recognises tones."""
    with HttpServer(Backend(delay_s=0.05)) as server:
        yield server.url


@pytest.fixture(scope="module")
def gateway(service):
    """One gateway for all clients here."""
    with real.running(service, limits=SessionLimits(drain_grace_s=1, send_timeout_s=2)) as running:
        yield running


async def talk(url, recording=SPEECH, *, speed=20.0, **options):
    """A well-behaved client; returns (words, close code)."""
    async with connect(url, **options) as ws:
        await ws.send(live.handshake(uid=f"u{id(ws)}"))
        listening = asyncio.create_task(_words(ws))
        for start in range(0, len(recording.pcm), live.CHUNK):
            await ws.send(recording.pcm[start : start + live.CHUNK].astype("<f4").tobytes())
            await asyncio.sleep(live.CHUNK / tones.RATE / speed)
        await ws.send(b"END_OF_AUDIO")
        words = await listening
        return words, ws.close_code


async def _words(ws):
    """The final words until the server closes."""
    kept: dict[tuple[str, str, str], str] = {}
    with contextlib.suppress(ConnectionClosed):
        while True:
            for segment in json.loads(await ws.recv()).get("segments", ()):
                if segment["completed"]:
                    kept.setdefault((segment["start"], segment["end"], segment["text"]), segment["text"])
    return tones.plain("".join(kept.values()))


async def alive(running):
    """The gateway still serves another client correctly."""
    assert await talk(running.url) == (SPEECH.text, 1000)
    assert httpx.get(f"{running.http}/health").json()["status"] == "healthy"


@pytest.mark.parametrize("path", ["", "/", "/ws", "/v1/stream/asr", "/some/where?x=1"])
async def test_any_path_is_served(gateway, path):
    """Clients connect to many paths; all of them work."""
    assert await talk(gateway.url + path, tones.speak([["alpha"]])) == (["alpha"], 1000)


async def test_health_and_metrics(gateway):
    """Both are plain HTTP on the same port; other plain requests get 426."""
    async with httpx.AsyncClient() as client:
        health = await client.get(f"{gateway.http}/health")
        metrics = await client.get(f"{gateway.http}/metrics")
        other = await client.get(f"{gateway.http}/")
    assert health.status_code == 200
    assert health.json().keys() >= {"status", "active_connections", "max_clients", "sessions", "lag_s"}
    assert "wsgw_sessions_active" in metrics.text
    assert other.status_code == 426


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"Authorization": "Bearer good"}},
        {"additional_headers": {"Authorization": "bearer good"}},
        {"additional_headers": {"X-API-Key": "good"}},
        {"subprotocols": ["bearer", "good"]},
        {"path": "/ws?token=good"},
    ],
)
async def test_keys_are_accepted_in_every_form(service, options):
    """A key in a header, a subprotocol or the query is accepted, and never echoed."""
    options = dict(options)
    with real.running(service, keys=("other", "good"), limits=SessionLimits(drain_grace_s=1)) as running:
        async with connect(running.url + options.pop("path", ""), **options) as ws:
            await ws.send(live.handshake())
            assert json.loads(await ws.recv())["message"] == "SERVER_READY"
            assert ws.subprotocol in {None, "bearer"}


@pytest.mark.parametrize("options", [{}, {"additional_headers": {"Authorization": "Bearer bad"}}, {"path": "/?token="}])
async def test_wrong_key_is_refused_before_the_upgrade(service, options):
    """401 as plain HTTP; health stays open."""
    options = dict(options)
    with real.running(service, keys=("good",), limits=SessionLimits(drain_grace_s=1)) as running:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(running.url + options.pop("path", ""), **options):
                pass
        assert refused.value.response.status_code == 401
        assert httpx.get(f"{running.http}/health").status_code == 200


async def test_frame_of_20_mb(gateway):
    """It is refused with 1009 before it is held in memory; other clients are not affected."""
    ws = await connect(gateway.url)
    await ws.send(live.handshake())
    with contextlib.suppress(ConnectionClosed):
        await ws.send(b"\0" * 20_000_000)
        while True:
            await ws.recv()
    assert ws.close_code == 1009
    await alive(gateway)


async def test_frame_above_the_limit(gateway):
    """Audio frames have a lower limit than the handshake, also a frame that directly follows it: close 1009."""
    for pause_s in (0.2, 0.0):
        async with connect(gateway.url) as ws:
            await ws.send(live.handshake(uid=f"f{pause_s}"))
            await asyncio.sleep(pause_s)
            with contextlib.suppress(ConnectionClosed):
                await ws.send(bytes(3 * 2**20))
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await ws.recv()
            assert ws.close_code == 1009
    await alive(gateway)


async def test_handshake_with_enrolled_voices(gateway):
    """Ten enrolled speakers are megabytes: such a client is served; above the limit it gets the reason."""
    voice = base64.b64encode(bytes(44 + 5 * 32_000)).decode()
    async with connect(gateway.url) as ws:
        await ws.send(live.handshake(known_speakers=[{"name": f"s{i}", "audio_base64": voice} for i in range(10)]))
        assert json.loads(await ws.recv())["message"] == "SERVER_READY"
    async with connect(gateway.url) as ws:
        await ws.send(live.handshake(uid="big", known_speakers=[{"name": "s", "audio_base64": "A" * 9_000_000}]))
        refusal = json.loads(await ws.recv())
        assert (refusal["uid"], refusal["status"]) == ("big", "ERROR")
        assert "8388608" in refusal["message"]
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1008


async def test_odd_frames_nan_and_text(gateway):
    """Frames of any length, NaN samples, empty frames and unknown text do not keep words from arriving."""
    recording = tones.speak([["alpha", "bravo"], ["kilo", "lima"]])
    data = recording.pcm.astype("<f4").tobytes()
    data = data[: 2 * tones.RATE * 4 - 4000] + np.full(1000, np.nan, "<f4").tobytes() + data[2 * tones.RATE * 4 :]
    async with connect(gateway.url) as ws:
        await ws.send(live.handshake())
        listening = asyncio.create_task(_words(ws))
        for start in range(0, len(data), 3333):
            await ws.send(data[start : start + 3333])
            await ws.send(b"")
            await ws.send("what?")
        await ws.send(b"END_OF_AUDIO")
        assert await listening == recording.text
    await alive(gateway)


async def test_random_bytes(gateway):
    """Random bytes lead to a close or to silence, never to a broken gateway."""
    random = np.random.default_rng(3)
    async with connect(gateway.url) as ws:
        await ws.send(live.handshake())
        for size in random.integers(1, 50_000, 50):
            await ws.send(random.bytes(int(size)))
        await ws.send(b"END_OF_AUDIO")
        await _words(ws)
    await alive(gateway)


async def test_flood_slows_the_client_down(service):
    """A client that sends much faster than real time is read no faster than memory allows."""
    recording = tones.chatter(150, seed=6)
    limits = SessionLimits(buffer_max_s=40, drain_grace_s=1)
    with real.running(service, limits=limits) as running:
        peak = 0.0
        task = asyncio.create_task(talk(running.url, recording, speed=1e6))
        async with httpx.AsyncClient() as client:
            while not task.done():
                peak = max(peak, (await client.get(f"{running.http}/health")).json()["buffered_s"])
                await asyncio.sleep(0.02)
        assert await task == (recording.text, 1000)
        assert peak < 42


async def test_client_that_stops_reading(gateway):
    """It is dropped after the send timeout, while another client is served normally."""
    deaf = sockets.create_connection(("127.0.0.1", gateway.port))
    deaf.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    deaf.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    deaf.sendall(_masked(1, live.handshake(uid="d" * 200, send_last_n_segments=0).encode()))
    await alive(gateway)
    deaf.close()
    await alive(gateway)


def _masked(opcode, payload):
    """A client's frame with an all-zero mask."""
    length = len(payload)
    head = (
        bytes([0x80 | opcode, 0x80 | length])
        if length < 126
        else bytes([0x80 | opcode, 0xFE]) + length.to_bytes(2, "big")
    )
    return head + b"\0\0\0\0" + payload


async def test_reset_connection_frees_its_place(gateway):
    """A TCP reset in the middle of audio leaves no session behind."""
    ws = await connect(gateway.url)
    await ws.send(live.handshake())
    await ws.send(SPEECH.pcm[:32_000].astype("<f4").tobytes())
    raw = ws.transport.get_extra_info("socket")
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    ws.transport.abort()
    for _ in range(100):
        if httpx.get(f"{gateway.http}/health").json()["active_connections"] == 0:
            break
        await asyncio.sleep(0.05)
    assert httpx.get(f"{gateway.http}/health").json()["active_connections"] == 0


async def test_many_idle_connections(service):
    """Two hundred silent sockets do not keep a client from being served."""
    with real.running(
        service, admission=StreamLimits(handshake_timeout_s=3), limits=SessionLimits(drain_grace_s=1)
    ) as running:
        idle = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(100)]
        silent = [await connect(running.url) for _ in range(100)]
        await alive(running)
        for _, writer in idle:
            writer.close()
        for ws in silent:
            ws.transport.abort()


async def test_burst_of_clients(service):
    """Of sixty clients at once with forty places, each is either served completely or gets WAIT."""
    recording = tones.speak([["alpha", "bravo"]])

    async def one(url):
        async with connect(url) as ws:
            await ws.send(live.handshake(uid=str(id(ws))))
            first = json.loads(await ws.recv())
            if first.get("status") == "WAIT":
                return "wait"
            listening = asyncio.create_task(_words(ws))
            await ws.send(recording.pcm.astype("<f4").tobytes())
            await asyncio.sleep(0.5)
            await ws.send(b"END_OF_AUDIO")
            return tuple(await listening)

    with real.running(
        service, admission=StreamLimits(max_clients=40), limits=SessionLimits(drain_grace_s=1)
    ) as running:
        results = await asyncio.gather(*(one(running.url) for _ in range(60)))
    assert results.count("wait") == 20
    assert results.count(("alpha", "bravo")) == 40


async def test_stop_flushes_and_closes_with_1012(service):
    """At a shutdown a client that is speaking gets its last words and 1012; the port is closed for new ones."""
    recording = tones.speak([["alpha", "bravo", "charlie"]], tail_s=0, pause_s=0)
    with real.running(service, limits=SessionLimits(drain_grace_s=5)) as running:
        async with connect(running.url) as ws:
            await ws.send(live.handshake())
            listening = asyncio.create_task(_words(ws))
            await ws.send(recording.pcm.astype("<f4").tobytes())
            await asyncio.sleep(0.3)
            running.terminate()
            assert await listening == recording.text
            assert ws.close_code == 1012
        with pytest.raises(OSError, match="Connect"):
            await connect(running.url)


def test_port_in_use_is_one_line(service, capsys):
    """If the port is in use, the start ends with one line that names it, and status 1."""
    with sockets.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serve(host="127.0.0.1", port=port) == 1
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize("answers", [True, False], ids=["answers pings", "vanished"])
async def test_a_vanished_client_is_dropped(service, answers):
    """Behind a proxy TCP stays alive: a client that answers no ping is dropped, a quiet one that does is kept."""
    with real.running(service, limits=SessionLimits(drain_grace_s=1), ping_s=0.3, dead_peer_s=0.9) as running:
        async with connect(running.url) as ws:
            await ws.send(live.handshake())
            await ws.recv()
            if not answers:
                ws.transport.pause_reading()
            await asyncio.sleep(4)
            assert running.gateway.health()["active_connections"] == (1 if answers else 0)
            ws.transport.resume_reading()
