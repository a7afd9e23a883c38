"""What spans cost a request: two workers with the fake engine, one of them traced, in turns.

    python -m bench.tracing

The fake engine takes no time, so what is left is HTTP, decoding and spans. The traced worker sends its spans to a
server of this process. CPU time is that of the worker, the threads that encode and send spans included.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import httpx
import numpy as np

from bench.clips import SAMPLE_RATE_HZ, to_wav
from bench.processes import free_port, running

N_ROUNDS: Final = 12
N_REQUESTS: Final = 100  # of each worker in a round
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass(slots=True)
class Measured:
    """One worker and what its requests took.

    Attributes:
        wall_s: of each request.
        cpu_s: of the process in all.
    """

    name: str
    pid: int
    client: httpx.Client
    wall_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def run(self, audio: bytes, n_requests: int) -> None:
        """Send requests one after the other."""
        before_s = cpu_of(self.pid)
        for _ in range(n_requests):
            began_s = time.perf_counter()
            self.client.post(
                "/v1/audio/transcriptions",
                files={"file": ("a.wav", audio, "audio/wav")},
                data={"model": "whisper-1"},
                headers={"traceparent": TRACEPARENT},
            ).raise_for_status()
            self.wall_s.append(time.perf_counter() - began_s)
        self.cpu_s += cpu_of(self.pid) - before_s


def main() -> None:
    """Measure, and print a row for each worker."""
    audio = to_wav(np.zeros(2 * SAMPLE_RATE_HZ, np.int16))
    with ExitStack() as stack:
        endpoint = stack.enter_context(span_server())
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        unsampled = {**traced, "OTEL_TRACES_SAMPLER": "always_off"}
        workers = [
            stack.enter_context(worker(name, environment))
            for name, environment in (("off", {}), ("on, not sampled", unsampled), ("on", traced))
        ]
        for each in workers:
            each.run(audio, N_REQUESTS)
            each.wall_s.clear()
            each.cpu_s = 0.0
        for _ in range(N_ROUNDS):
            for each in workers:
                each.run(audio, N_REQUESTS)
        print("| spans | median ms | p95 ms | CPU ms |\n|---|---|---|---|")
        for each in workers:
            p95_s = statistics.quantiles(each.wall_s, n=20)[-1]
            cpu_ms = each.cpu_s / len(each.wall_s) * 1000
            print(f"| {each.name} | {statistics.median(each.wall_s) * 1000:.2f} | {p95_s * 1000:.2f} | {cpu_ms:.2f} |")


@contextmanager
def worker(name: str, environment: dict[str, str]) -> Iterator[Measured]:
    """A ready worker with the fake engine."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    env = {"MODEL_SIZE": "fake", "PORT": str(port), "LOG_LEVEL": "error", **environment}
    with (
        running([sys.executable, "main.py"], env, ready_url=f"{url}/health/ready") as process,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield Measured(name, process.pid, client)


@contextmanager
def span_server() -> Iterator[str]:
    """An endpoint that takes every export and drops it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Read one export."""
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def cpu_of(pid: int) -> float:
    """Seconds of CPU time that a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
