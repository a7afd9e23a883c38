"""Our live client with real gateways that stop, vanish and come back."""

import asyncio
import contextlib
import json
from itertools import pairwise

import numpy as np
import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from app.core.pcm import to_pcm16
from app.live.admission import StreamLimits
from app.live.client.client import Line, ListenerCallbacks, LiveClient, Refused
from app.live.client.sources import paced
from app.live.session.connection import SessionLimits
from tests.live import real, tones
from tests.live.backend import Backend, HttpServer


class Balancer:
    """Forwards TCP to the first gateway that listens, like a proxy in front of several."""

    def __init__(self, *ports):
        self.ports = list(ports)
        self.used = []
        self._writers = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        self.cut()

    def cut(self):
        """Reset every connection, as kill -9 of a gateway does."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader, writer):
        for port in self.ports:
            with contextlib.suppress(OSError):
                upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
                self.used.append(port)
                break
        else:
            writer.transport.abort()
            return
        self._writers += [writer, upstream_writer]
        await asyncio.gather(_pump(reader, upstream_writer), _pump(upstream_reader, writer))


async def _pump(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def listener():
    """(events, lines, notices) of a client."""
    lines: list[Line] = []
    warnings: list[str] = []

    def line(event):
        if event.completed:
            lines.append(event)

    return ListenerCallbacks(line=line, notice=warnings.append), lines, warnings


def words(lines):
    """The words of final lines."""
    return tones.plain("".join(line.text for line in lines))


@pytest.fixture(scope="module")
def service():
    """A transcription service that recognises tones."""
    with HttpServer(Backend(delay_s=0.1)) as server:
        yield server.url


async def test_every_word_arrives(service):
    """A recording streamed to one gateway comes back complete, with its times."""
    recording = tones.chatter(6, seed=1)
    events, lines, _ = listener()
    with real.running(service, limits=SessionLimits(drain_grace_s=1)) as running:
        await LiveClient(running.url, handshake={"language": "en"}, events=events).run(
            paced(to_pcm16(recording.pcm), speed=3)
        )
    assert words(lines) == recording.text
    assert lines[-1].end == pytest.approx(recording.words[-1].end, abs=0.1)


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_another_gateway_takes_over(service, how):
    """If a gateway stops or is killed during speech, the client continues at another; no word is lost or doubled."""
    recording = tones.chatter(15, seed=2)
    events, lines, warnings = listener()
    limits = SessionLimits(drain_grace_s=2)
    with real.running(service, limits=limits) as one, real.running(service, limits=limits) as two:
        async with Balancer(one.port, two.port) as balancer:
            client = LiveClient(balancer.url, handshake={"language": "en"}, events=events)
            task = asyncio.create_task(client.run(paced(to_pcm16(recording.pcm), speed=2)))
            await asyncio.sleep(4)
            if how == "stopped":
                one.terminate()
            else:
                balancer.ports.remove(one.port)
                balancer.cut()
            await task
            assert balancer.used == [one.port, two.port]
    assert words(lines) == recording.text
    assert all(a.end <= b.start + 0.01 for a, b in pairwise(lines))
    assert lines[-1].end == pytest.approx(recording.words[-1].end, abs=0.1)
    assert "connected again" in warnings or how == "stopped"


async def test_gateway_that_comes_back_gets_everything_said_meanwhile(service):
    """If no gateway listens for some seconds, the audio of that time is sent as soon as one does."""
    recording = tones.chatter(12, seed=3)
    events, lines, warnings = listener()
    with real.running(service, limits=SessionLimits(drain_grace_s=1)) as running:
        async with Balancer(running.port) as balancer:
            client = LiveClient(balancer.url, handshake={"language": "en"}, events=events)
            task = asyncio.create_task(client.run(paced(to_pcm16(recording.pcm), speed=2)))
            await asyncio.sleep(2)
            balancer.ports.clear()
            balancer.cut()
            await asyncio.sleep(2)
            balancer.ports.append(running.port)
            await task
    assert words(lines) == recording.text
    assert warnings[:2] == ["connection lost, trying again", "connected again"]


async def test_nobody_there():
    """After `patience_s` the client gives up and names the address."""
    events, _, _ = listener()
    client = LiveClient("ws://127.0.0.1:9", handshake={}, events=events, patience_s=0.3)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
        await client.run(paced(to_pcm16(tones.speak([["alpha"]]).pcm)))


async def test_refusals_are_final(service):
    """A full gateway and a wrong key are reported, not retried."""
    pcm = to_pcm16(tones.speak([["alpha"]]).pcm)
    events, _, _ = listener()
    with real.running(
        service, keys=("k",), admission=StreamLimits(max_clients=1), limits=SessionLimits(drain_grace_s=1)
    ) as running:
        with pytest.raises(Refused, match="401: An API key is required"):
            await LiveClient(running.url, handshake={}, events=events, key="bad").run(paced(pcm))
        busy = asyncio.create_task(
            LiveClient(running.url, handshake={}, events=events, key="k").run(
                paced(to_pcm16(tones.chatter(5, seed=4).pcm))
            )
        )
        await asyncio.sleep(0.5)
        with pytest.raises(Refused, match="full"):
            await LiveClient(running.url, handshake={}, events=events, key="k").run(paced(pcm))
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        (
            "application/json",
            '{"error":{"message":"Too many live connections."}}',
            "The gateway answered 429: Too many live",
        ),
        ("text/html", "<html>Too Many Requests</html>", r"The gateway answered 429\.$"),
        ("application/json", "[]", r"The gateway answered 429\.$"),
    ],
)
async def test_the_reason_of_a_refusal_is_reported(content_type, body, message):
    """An answer of nginx in OpenAI's error format gives its reason; the page of another proxy gives none."""

    def refuse(connection, _):
        response = connection.respond(429, body)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = content_type
        return response

    async def talk(_):
        pytest.fail("the handshake is refused")

    async with serve(talk, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        client = LiveClient(f"ws://127.0.0.1:{port}", handshake={}, events=listener()[0])
        with pytest.raises(Refused, match=message):
            await client.run(paced(to_pcm16(tones.speak([["alpha"]]).pcm)))


async def test_after_disconnect_it_connects_again(service):
    """A gateway that ends every connection after seconds costs no word, also if the recording ends meanwhile."""
    recording = tones.chatter(12, seed=5)
    events, lines, _ = listener()
    limits = SessionLimits(max_connection_time_s=2.5, drain_grace_s=1)
    with real.running(service, limits=limits) as running:
        await LiveClient(running.url, handshake={"language": "en"}, events=events).run(
            paced(to_pcm16(recording.pcm), speed=2)
        )
    assert words(lines) == recording.text


async def scripted(answers, connections):
    """A gateway that plays a script of READY and refusals, then serves normally."""

    async def serve_one(ws):
        handshake = json.loads(await ws.recv())
        connections.append(ws)
        ready, status = answers.pop(0) if answers else (True, None)
        if ready:
            await ws.send(json.dumps({"uid": handshake["uid"], "message": "SERVER_READY", "backend": "faster_whisper"}))
        if status is not None:
            message = 1.0 if status == "WAIT" else "Internal error; please connect again."
            await ws.send(json.dumps({"uid": handshake["uid"], "status": status, "message": message}))
        with contextlib.suppress(ConnectionClosed):
            async for frame in ws:
                if frame == b"END_OF_AUDIO" and status is None:
                    return

    return await serve(serve_one, "127.0.0.1", 0)


def address(server):
    """Where a scripted gateway listens."""
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_trouble_in_mid_recording_is_not_the_end():
    """After being served once, the client retries on ERROR or a full gateway instead of giving up."""
    connections: list[object] = []
    events, _, warnings = listener()
    async with await scripted([(True, "ERROR"), (False, "WAIT")], connections) as server:
        client = LiveClient(address(server), handshake={}, events=events)
        await client.run(paced(to_pcm16(tones.speak([["alpha"]]).pcm)))
    assert len(connections) == 3
    assert warnings == ["connection lost, trying again", "connected again"]


async def test_a_source_faster_than_its_gateway_waits(monkeypatch):
    """However far a pipe is ahead of the gateway, every sample is sent, in order."""
    monkeypatch.setattr("app.live.client.client.HISTORY_S", 1.0)
    received: list[bytes] = []

    async def slow(ws):
        handshake = json.loads(await ws.recv())
        await ws.send(json.dumps({"uid": handshake["uid"], "message": "SERVER_READY", "backend": "faster_whisper"}))
        async for frame in ws:
            if frame == b"END_OF_AUDIO":
                return
            received.append(frame)
            await asyncio.sleep(0.002)

    pcm = np.arange(10 * 16_000, dtype=np.int16)

    async def pipe():
        for at in range(0, len(pcm), 4000):
            yield pcm[at : at + 4000]

    async with await serve(slow, "127.0.0.1", 0) as server:
        await LiveClient(address(server), handshake={}, events=listener()[0]).run(pipe())
    assert b"".join(received) == pcm.tobytes()


async def test_a_gateway_that_fails_every_time_is_given_up():
    """If every connection is refused soon after READY, the client gives up after `patience_s`."""
    connections: list[object] = []
    events, _, _ = listener()
    async with await scripted([(True, "ERROR")] * 100, connections) as server:
        client = LiveClient(address(server), handshake={}, events=events, patience_s=1.5)
        with pytest.raises(OSError, match="No gateway"):
            await client.run(paced(to_pcm16(tones.speak([["alpha"]]).pcm)))
    assert len(connections) < 8
