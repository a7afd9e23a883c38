"""Several gateways behind nginx: streams are distributed, and clients lose nothing when one is killed."""

import asyncio
import signal
from contextlib import ExitStack
from pathlib import Path

import httpx

from app.core.pcm import to_pcm16
from app.live.client.client import Line, ListenerCallbacks, LiveClient
from app.live.client.sources import paced
from tests.cluster.front import front
from tests.cluster.ports import free_ports
from tests.e2e.test_gateway_process import process
from tests.live import tones
from tests.live.backend import Backend, HttpServer


class Listener:
    """One live client and the text it received."""

    def __init__(self, url: str, seed: int) -> None:
        self.recording = tones.chatter(14, seed=seed)
        self.lines: list[Line] = []
        self.warnings: list[str] = []
        events = ListenerCallbacks(line=self._line, notice=self.warnings.append)
        self._client = LiveClient(url, handshake={"language": "en"}, events=events)

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


async def test_streams_spread_and_survive_a_kill_and_a_restart(run_dir: Path):
    """Each of three gateways gets two streams; one is killed, one is stopped: all six transcripts are complete."""
    with HttpServer(Backend(delay_s=0.2)) as service, ExitStack() as stack:
        gateways = [stack.enter_context(process(service.url)) for _ in range(3)]
        ports = [port for _, port in gateways]
        async with front(run_dir, workers=free_ports(1), gateways=ports) as nginx:
            url = f"ws://127.0.0.1:{nginx.live_port}/ws"
            listeners = [Listener(url, seed) for seed in range(6)]
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
    assert any("connected again" in listener.warnings for listener in listeners)
