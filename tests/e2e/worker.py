"""Start, wait for and stop worker processes on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import httpx

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60.0


@dataclass(slots=True)
class Worker:
    """A worker process and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    output: IO[bytes]
    _kept_log: str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything it has printed so far."""
        if not self.output.closed:
            self.output.seek(0)
            self._kept_log = self.output.read().decode()
        return self._kept_log

    def wait_ready(self) -> None:
        """Wait until the warm-up has returned; fail with the log if it never does."""
        give_up = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=1).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the worker did not become ready:\n{self.log}")

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """Drain it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.kill()
            self.process.wait()
            assert isinstance(self.log, str)  # read it while it can be read
            self.output.close()


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(*command: str, **environment: str) -> Worker:
    """Start `main.py` (or `command`) with nothing of this machine's configuration but PATH."""
    port = int(environment.get("PORT") or free_port())
    output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
    process = subprocess.Popen(
        [sys.executable, *(command or ("main.py",))],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "LOG_FORMAT": "json", **environment, "PORT": str(port)},
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    return Worker(process, port, output)
