"""Several gateways behind nginx: streams spread over them, and killing one costs a reconnecting client nothing."""

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from app.streaming.buffer import to_pcm16
from app.streaming.client import Events, Line, LiveClient
from app.streaming.sources import paced
from tests.e2e.test_gateway_process import free_port, process
from tests.streaming import tones
from tests.streaming.backend import Backend, HttpServer

SNIPPET = Path(__file__).resolve().parents[2] / "deploy" / "snippets" / "gateway.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(ports: list[int]) -> Iterator[int]:
    """The shipped front in front of these gateways, on a port of its own."""
    front = free_port()
    text = SNIPPET.read_text(encoding="utf-8").replace("listen 9090", f"listen 127.0.0.1:{front}")
    for number, port in enumerate(ports, start=1):
        text = text.replace(f"whisperlive-{number}:9090", f"127.0.0.1:{port}")
    with tempfile.TemporaryDirectory(prefix="gateways-nginx-") as folder:
        Path(folder).chmod(0o711)
        paths = "".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
        config = Path(folder) / "nginx.conf"
        config.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{ {paths} "
            f"log_format gateway escape=json '$uri $status';\n{text.replace('/dev/stdout', f'{folder}/access.log')} }}",
            encoding="utf-8",
        )
        command = ["nginx", "-c", str(config), "-e", f"{folder}/error.log"]
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        running = subprocess.Popen(command, env=environment)
        try:
            _until_listening(front)
            yield front
        finally:
            running.terminate()
            running.wait(10)


def _until_listening(port: int) -> None:
    for _ in range(100):
        try:
            httpx.get(f"http://127.0.0.1:{port}/health")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("nginx did not start")


class Listener:
    """One live client and what it got."""

    def __init__(self, url: str, seed: int) -> None:
        self.recording = tones.chatter(14, seed=seed)
        self.lines: list[Line] = []
        self.notices: list[str] = []
        events = Events(line=self._line, notice=self.notices.append)
        self._client = LiveClient(url, hello={"language": "en"}, events=events)

    def _line(self, line: Line) -> None:
        if line.completed:
            self.lines.append(line)

    async def run(self) -> None:
        """Stream the recording in real time."""
        await self._client.run(paced(to_pcm16(self.recording.pcm)))

    @property
    def words(self) -> list[str]:
        """The final words."""
        return tones.plain("".join(line.text for line in self.lines))


def _connections(ports: list[int]) -> list[int]:
    return [httpx.get(f"http://127.0.0.1:{port}/health").json()["active_connections"] for port in ports]


async def test_streams_spread_and_survive_a_kill_and_a_restart():
    """Six streams go two by two; one gateway is killed, one is stopped: all six recordings arrive word for word."""
    with HttpServer(Backend(delay_s=0.2)) as service, ExitStack() as stack:
        gateways = [stack.enter_context(process(service.url)) for _ in range(3)]
        ports = [port for _, port in gateways]
        front = stack.enter_context(nginx(ports))
        listeners = [Listener(f"ws://127.0.0.1:{front}/ws", seed) for seed in range(6)]
        tasks = [asyncio.create_task(listener.run()) for listener in listeners]
        await asyncio.sleep(4)
        assert _connections(ports) == [2, 2, 2]
        gateways[0][0].kill()
        await asyncio.sleep(3)
        assert sum(_connections(ports[1:])) == 6
        gateways[1][0].send_signal(signal.SIGTERM)
        await asyncio.gather(*tasks)
    for listener in listeners:
        assert listener.words == listener.recording.text
    assert any("connected again" in listener.notices for listener in listeners)
