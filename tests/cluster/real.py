"""A real cluster on loopback, started from the command line, with the demo model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from app.cluster import control
from app.cluster.layout import run_dir_of
from tests.cluster.front import ROOT
from tests.cluster.ports import free_ports, free_run_of_ports

AUDIO = ROOT / "tests" / "audio"
TIMEOUT_S = 60.0
PORTS_FOR_WORKERS = 8
PORTS_FOR_GATEWAYS = 2
FAKE = {"MODEL_SIZE": "fake"}


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def running(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it did not within `TIMEOUT_S`.
    """
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not hold in time"
        time.sleep(0.05)


def start_and_fail(*words: str, env: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run a cluster command that fails; return its exit code and its lines."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "cluster", *words], cwd=ROOT, env={**os.environ, **env},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines()


class RealCluster:
    """A running cluster: its URL, processes and log; `start_s` is how long its start took."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, live_port: int, temp: Path, env: Mapping[str, str]
    ) -> None:
        self.process = process
        self.port = port
        self.live_port = live_port
        self.temp = temp
        self.log = temp / "cluster.log"
        self.env = env
        self.start_s = 0.0
        self.url = f"http://127.0.0.1:{port}"
        self.transcriptions = f"{self.url}/v1/audio/transcriptions"

    @property
    def run_dir(self) -> Path:
        """Return the cluster's folder."""
        return run_dir_of(self.temp, user_id=os.getuid(), port=self.port)

    def status(self) -> dict[str, Any]:
        """Return the cluster's status."""
        return control.send(self.run_dir / "control.sock", {"order": "status"}, timeout_s=10)

    def order(self, *words: str) -> dict[str, Any]:
        """Run `python -m app cluster ...` against it; return its output."""
        done = subprocess.run(
            [sys.executable, "-m", "app", "cluster", *words, "--port", str(self.port)],
            cwd=ROOT, env=dict(self.env), capture_output=True, text=True, timeout=TIMEOUT_S, check=True,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def pid(self, name: str) -> int:
        """Return the process id of a member."""
        return int(self.status()["pids"][name])

    def wait_ready(self, workers: int) -> None:
        """Wait until that many workers serve and no change is in progress."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self.process.poll() is not None:
                raise AssertionError(f"the cluster has ended: {self.log.read_text()[-3000:]}")
            if b"| ready behind " in self.log.read_bytes():
                status = self.status()
                if status["ready"] and status["workers"] == workers:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready: {self.log.read_text()[-3000:]}")

    def stop(self) -> int:
        """Drain it; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT_S)


@contextmanager
def real_cluster(
    workers: int,
    env: Mapping[str, str] = MappingProxyType({}),
    *,
    program: Sequence[str] = ("-m", "app", "cluster"),
) -> Iterator[RealCluster]:
    """Start a cluster with two slots per worker, wait until it serves, stop it at the end."""
    port, live_port = free_ports(2)
    first = free_run_of_ports(PORTS_FOR_WORKERS + PORTS_FOR_GATEWAYS)
    with tempfile.TemporaryDirectory(prefix="cluster-test-") as temp:
        # nginx started by root works as another user, which must be able to enter.
        Path(temp).chmod(0o711)
        own = {"MODEL_SIZE": "demo", "MAX_CONCURRENT_TRANSCRIPTIONS": "2", "CPU_THREADS": "1", "TMPDIR": temp}
        environment = {**os.environ, **own, **env}
        # asyncio's debug mode is for the tests' own loop; the cluster runs as in production.
        environment.pop("PYTHONASYNCIODEBUG", None)
        with (Path(temp) / "cluster.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *program, "--workers", str(workers), "--port", str(port),
                 "--worker-port", str(first), "--gateway-port", str(first + PORTS_FOR_WORKERS),
                 "--live-port", str(live_port)],
                cwd=ROOT, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        cluster = RealCluster(process, port, live_port, Path(temp), environment)
        try:
            begun_s = time.monotonic()
            cluster.wait_ready(workers)
            cluster.start_s = time.monotonic() - begun_s
            yield cluster
        finally:
            if process.poll() is None:
                cluster.stop()
