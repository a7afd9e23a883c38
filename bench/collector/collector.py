"""Collector processes as people start them, read over HTTP only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60.0
END_WITHIN_S = 30.0


class Collector:
    """A `python -m app collect`. It keeps its port and its log when it is killed and started again."""

    def __init__(self, environment: Mapping[str, str], *, launcher: tuple[str, ...] = ("-m", "app")) -> None:
        """Start nothing yet.

        Args:
            environment: its settings, besides the port.
            launcher: arguments of Python before `collect`.
        """
        self.port = free_port()
        self.environment = dict(environment)
        self._launcher = launcher
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as this object
        self._kept_log = ""
        self._process: subprocess.Popen[bytes] | None = None
        self.http = self.new_client()

    def new_client(self) -> httpx.AsyncClient:
        """A client for the event loop that runs now."""
        return httpx.AsyncClient(base_url=self.url, timeout=30)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        return self._started().pid

    @property
    def log(self) -> str:
        """Everything it has logged so far."""
        if not self._log.closed:
            self._log.seek(0)
            self._kept_log = self._log.read()
        return self._kept_log

    async def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until it says that it is ready."""
        command = [sys.executable, *self._launcher, "collect", "--port", str(self.port)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS", "COLLECTOR"))}
        self._process = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond
            command, cwd=ROOT, env={**inherited, "LOG_FORMAT": "json", **self.environment}, stderr=self._log
        )
        if ready:
            await self.wait_until_ready()

    async def wait_until_ready(self) -> None:
        """Wait until `/health/ready` answers 200.

        Raises:
            RuntimeError: the process ended, or was not ready in time.
        """
        give_up = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up and self.is_running:
            if await self.is_ready():
                return
            await asyncio.sleep(0.02)
        raise RuntimeError(f"the collector did not become ready: {self.log[-3000:]}")

    @property
    def is_running(self) -> bool:
        """Has it been started, and not ended?"""
        return self._process is not None and self._process.poll() is None

    async def is_ready(self) -> bool:
        """What its probe says; false if nobody answers."""
        try:
            return (await self.http.get("/health/ready")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, by pid."""
        os.kill(self.pid, number)

    async def ended(self) -> int:
        """Wait for its end and return its exit status."""
        return await asyncio.to_thread(self._started().wait, END_WITHIN_S)

    async def kill(self) -> None:
        """`kill -9`."""
        if self.is_running:
            self.signal(signal.SIGKILL)
            await self.ended()

    async def stop(self) -> int:
        """Ask it to end; return the exit status."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def close(self) -> None:
        """End it at once if it still runs."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
            await self.kill()
        await self.http.aclose()
        self._kept_log = self.log
        self._log.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the collector was never started")
        return self._process

    # What it shows.

    async def transcript(self, meeting: int, **params: Any) -> dict[str, Any]:
        """The transcript of a meeting by its number."""
        answer = await self.http.get(f"/transcripts/by-id/{meeting}", params=params)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    async def texts(self, meeting: int, **params: Any) -> list[str]:
        """The texts of a meeting; empty if there is no such meeting."""
        try:
            return [segment["text"] for segment in (await self.transcript(meeting, **params))["segments"]]
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return []
            raise

    async def words(self, meetings: Iterable[int]) -> dict[int, list[str]]:
        """The texts of several meetings."""
        return {meeting: await self.texts(meeting) for meeting in meetings}

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        text = (await self.http.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@asynccontextmanager
async def running(environment: Mapping[str, str]) -> AsyncIterator[Collector]:
    """A collector that is ready, and ends with the block."""
    collector = Collector(environment)
    try:
        await collector.start()
        yield collector
    finally:
        await collector.close()
