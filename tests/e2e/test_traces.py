"""One trace from a client through nginx, a gateway and a worker, as an OpenTelemetry collector sees it.

Real processes and a real nginx; the collector is a stand-in that decodes what it is sent.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.contracts.whisperlive import END_OF_AUDIO
from tests.clients import MODEL, PATH, upload
from tests.cluster.front import front, until
from tests.e2e import worker
from tests.e2e.test_gateway_process import process
from tests.live import live, tones
from tests.spans import SPAN_ID, TRACE_ID, TRACEPARENT, OtlpServer, Seen, assert_nested, otlp_server

LIVE_TRACE_ID = "c0ffee0000000000000000000000cafe"
LIVE_TRACEPARENT = f"00-{LIVE_TRACE_ID}-{SPAN_ID}-01"
# Each process takes the time of day by itself.
CLOCKS_NS = 20_000_000
KEY = "secret-key"
# Ends a process's attempts to import what only the extra installs, and tells of them.
BLOCKER = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.startswith({blocked!r}):
            print("IMPORT", name, file=sys.stderr, flush=True)
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocker())
sys.argv = {argv!r}
runpy.run_path("main.py", run_name="__main__") if len(sys.argv) == 1 else runpy.run_module(
    "app", run_name="__main__", alter_sys=True)
"""
EXTRA = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Give a folder for nginx; the user that nginx works as may not enter pytest's own."""
    with tempfile.TemporaryDirectory(prefix="nginx-test-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


def variables(collector: OtlpServer) -> dict[str, str]:
    """What turns tracing on, with quick exports."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}


def lines(log: str) -> list[dict[str, object]]:
    """The JSON lines of a log."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def named(spans: list[Seen], name: str) -> list[Seen]:
    """The spans of that name."""
    return [span for span in spans if span.name == name]


async def test_one_trace_through_every_process(run_dir: Path) -> None:
    """A file and a live session each are one trace: in every span, in nginx's log and in the log of each process."""
    with otlp_server() as collector:
        started = worker.start(MODEL_SIZE="demo", DEVICE="cpu", API_KEYS=KEY, **variables(collector))
        with started:
            await asyncio.to_thread(started.wait_ready)
            async with front(run_dir, workers=[started.port]) as inner:
                service = f"http://127.0.0.1:{inner.port}{PATH}"
                gateway_variables = {"STREAMING_API_KEYS": KEY, "REMOTE_TRANSCRIBER_API_KEY": KEY}
                with process(service, **gateway_variables, **variables(collector)) as (gateway, gateway_port):
                    (run_dir / "outer").mkdir(mode=0o711)
                    async with front(run_dir / "outer", workers=[started.port], gateways=[gateway_port]) as outer:
                        text = await _send_file(outer.client)
                        words = await _speak(outer.live_port)
                        await until(lambda: '"GET"' in outer.log.read_text())  # written when the stream has ended
                        nginx_lines = lines(outer.log.read_text())
                    gateway.send_signal(signal.SIGTERM)
                    _, gateway_log = await asyncio.to_thread(gateway.communicate, timeout=20)
            assert started.stop() == 0
        spans = collector.wait(lambda found: {f"POST {PATH}", "stt.session"} <= {span.name for span in found})
        bodies = b"".join(collector.bodies)

    file = [span for span in spans if span.trace_id == TRACE_ID]
    (whole,) = [span for span in file if span.parent_id == SPAN_ID]
    assert (whole.name, whole.service) == (f"POST {PATH}", "stt-worker")
    assert {"stt.upload", "stt.queue", "stt.decode", "stt.batch", "stt.format"} <= {span.name for span in file}
    assert_nested(file)

    live_spans = [span for span in spans if span.trace_id == LIVE_TRACE_ID]
    assert len(file) + len(live_spans) == len(spans)
    (session,) = [span for span in live_spans if span.parent_id == SPAN_ID]
    assert (session.name, session.service) == ("stt.session", "stt-gateway")
    windows = {span.span_id for span in named(live_spans, "stt.window")}
    assert {span.parent_id for span in named(live_spans, "stt.window")} == {session.span_id}
    requests = named(live_spans, f"POST {PATH}")
    assert requests
    assert {span.parent_id for span in requests} <= windows
    assert {span.service for span in requests} == {"stt-worker"}
    assert_nested(live_spans, tolerance_ns=CLOCKS_NS)

    assert [line["trace_id"] for line in nginx_lines if line["uri"] == PATH] == [TRACE_ID]
    assert [line["trace_id"] for line in nginx_lines if line["method"] == "GET" and line["status"] == 101] == [
        LIVE_TRACE_ID
    ]
    by_event = {line["event"]: line.get("trace_id") for line in lines(gateway_log)}
    assert by_event["session started"] == by_event["session ended"] == LIVE_TRACE_ID
    assert {line["trace_id"] for line in lines(started.log) if line["event"] == "request"} == {
        TRACE_ID,
        LIVE_TRACE_ID,
    }
    said = [word.encode() for word in (*text.split(), *words) if len(word) > 4]
    assert said
    assert not [word for word in (b"secret", *said) if word in bodies]


async def _send_file(client: httpx.AsyncClient) -> str:
    file = Path(__file__).parents[1] / "audio" / "en-00.wav"
    answer = await client.post(
        PATH,
        params={"api_key": "secret-query"},
        files={"file": ("secret-name.wav", file.read_bytes(), "audio/wav")},
        data={"model": "whisper-1", "prompt": "secret-prompt", "language": "en", "response_format": "text"},
        headers={"traceparent": TRACEPARENT, "Authorization": f"Bearer {KEY}"},
    )
    assert answer.status_code == 200, answer.text
    return answer.text


async def _speak(port: int) -> list[str]:
    """A live session over a recording; returns its words."""
    headers = {"traceparent": LIVE_TRACEPARENT, "Authorization": f"Bearer {KEY}"}
    recording = tones.speak([["alpha", "bravo"]])
    heard: list[str] = []
    async with connect(f"ws://127.0.0.1:{port}/ws?token=secret-query", additional_headers=headers) as ws:
        await ws.send(live.handshake(uid="secret-uid", initial_prompt="secret-prompt"))
        await ws.send(recording.pcm.astype("<f4").tobytes())
        await ws.send(END_OF_AUDIO)
        try:
            while True:
                message = json.loads(await ws.recv())
                heard += [word for each in message.get("segments", ()) for word in str(each["text"]).split()]
        except ConnectionClosed:
            return heard


@pytest.mark.parametrize("asked", [False, True], ids=["not asked for", "asked for without the packages"])
def test_a_worker_without_the_packages_serves(asked: bool) -> None:  # noqa: FBT001 - a table
    """Unless it is asked for, nothing tries to import them; otherwise one line says what to install."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"} if asked else {}
    code = BLOCKER.format(blocked=EXTRA, argv=["main.py"])
    with worker.start("-c", code, MODEL_SIZE="fake", **environment) as running:
        running.wait_ready()
        answer = httpx.post(f"{running.url}{PATH}", data=MODEL, files=upload(), headers={"traceparent": TRACEPARENT})
        assert answer.status_code == 200
        assert running.stop() == 0
        log = running.log
    assert ("IMPORT" in log) is asked
    assert log.count("pip install -r requirements-otel.txt") == asked
    (line,) = [line for line in lines(log) if line["event"] == "request"]
    assert line["trace_id"] == TRACE_ID


def test_a_gateway_imports_nothing_of_opentelemetry() -> None:
    """Not even its interfaces, which FastAPI brings to the other processes."""
    port = worker.free_port()
    code = BLOCKER.format(blocked=("opentelemetry",), argv=["app", "streaming", "--port", str(port)])
    with worker.start("-c", code, PORT=str(port)) as running:
        for _ in range(200):
            try:
                assert httpx.get(f"{running.url}/health").status_code == 200
                break
            except httpx.TransportError:
                time.sleep(0.05)
        assert running.stop() == 0
        assert "IMPORT" not in running.log
        assert "listening" in running.log


def test_packages_that_are_installed_are_not_imported_unasked() -> None:
    """With the extra and no variable, no process loads what makes and sends spans.

    The Redis client, which is not ours, loads the SDK's metrics wherever they are installed.
    """
    spans = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto")
    code = (
        "import sys, app.commands.streaming, app.commands.collect, app.http.server\n"
        "from app.ops.tracing_setup import tracer_from_environment\n"
        "tracer_from_environment('x')\n"
        f"print([name for name in sys.modules if name.startswith({spans!r})])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("away", ["refuses", "hangs", "fails"])
def test_a_collector_that_is_away_costs_a_line(away: str) -> None:
    """Requests are served, the log gets one warning, and SIGTERM ends the process soon."""
    with otlp_server() as collector, socket.create_server(("127.0.0.1", 0)) as silent:
        collector.status = 500
        urls = {
            "refuses": f"http://127.0.0.1:{worker.free_port()}",
            "hangs": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "fails": collector.url,
        }
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": urls[away],
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        }
        with worker.start(MODEL_SIZE="fake", **environment) as running:
            running.wait_ready()
            give_up_s = time.monotonic() + 20
            while "spans cannot be sent" not in running.log:
                assert time.monotonic() < give_up_s, running.log
                answer = httpx.post(f"{running.url}{PATH}", data=MODEL, files=upload())
                assert answer.status_code == 200
            for _ in range(20):
                httpx.get(f"{running.url}/v1/models")
            began_s = time.monotonic()
            assert running.stop() == 0
            assert time.monotonic() - began_s < 10  # two seconds for the spans, and the server's own end
        strange = [line for line in lines(running.log) if line["level"] != "info"]
    assert [line["event"] for line in strange if "API_KEYS" not in str(line["event"])] == [
        "spans cannot be sent to OTEL_EXPORTER_OTLP_ENDPOINT; requests go on"
    ]
