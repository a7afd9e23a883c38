"""Running contenders: a process for stock faster-whisper and each setting of the engine, or a server over HTTP."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from bench.accuracy.recordings import Recording
from bench.accuracy.settings import Setting
from bench.accuracy.transcription import Transcription, transcription_of
from bench.processes import StartFailure, running
from bench.usage import cpu_s, tree

ROUTE = "/v1/audio/transcriptions"
TIMEOUT_S = 600.0
LONGEST_BUSY_WAIT_S = 1.0


class Contender(Protocol):
    """A setting that is ready to transcribe."""

    def transcribe(self, recording: Recording) -> Transcription:
        """Transcribe one recording; blocking."""


@dataclass(frozen=True, slots=True)
class ChildContender:
    """A process that reads and writes lines, see `bench.accuracy.child`.

    Attributes:
        multilingual: whether its model knows other languages than English.
    """

    child: subprocess.Popen[str]
    multilingual: bool

    def transcribe(self, recording: Recording) -> Transcription:
        """See `Contender.transcribe`.

        Raises:
            StartFailure: the process has ended.
        """
        if self.child.stdin is None:
            raise StartFailure("The child has no pipes. This is a bug.")
        request = {"path": str(recording.path.resolve()), "language": recording.language}
        print(json.dumps(request), file=self.child.stdin, flush=True)
        return Transcription(**_read(self.child))


@dataclass(frozen=True, slots=True)
class _HttpSegment:
    """A segment of a `verbose_json` body."""

    text: str
    seek: int
    temperature: float


@dataclass(frozen=True, slots=True)
class HttpContender:
    """A running server.

    Attributes:
        pid: its process, for CPU time with all children; None if it is on another machine.
    """

    client: httpx.Client
    fields: Mapping[str, str]
    pid: int | None

    def transcribe(self, recording: Recording) -> Transcription:
        """See `Contender.transcribe`.

        Raises:
            httpx.HTTPError: the server cannot be reached, or refuses with anything but 503.
        """
        started_s, started_cpu_s = time.perf_counter(), self._cpu_s()
        answer = self._send(recording)
        while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            time.sleep(min(float(answer.headers.get("retry-after", 1)), LONGEST_BUSY_WAIT_S))
            answer = self._send(recording)
        answer.raise_for_status()
        wall_s, ended_cpu_s = time.perf_counter() - started_s, self._cpu_s()
        segments = [_HttpSegment(each["text"], each["seek"], each["temperature"]) for each in answer.json()["segments"]]
        spent_s = None if started_cpu_s is None or ended_cpu_s is None else ended_cpu_s - started_cpu_s
        return transcription_of(segments, wall_s=wall_s, cpu_s=spent_s)

    def _send(self, recording: Recording) -> httpx.Response:
        language = {"language": recording.language} if recording.language else {}
        fields = {"model": "whisper-1", "response_format": "verbose_json", **language, **self.fields}
        file = (recording.path.name, recording.path.read_bytes(), "application/octet-stream")
        return self.client.post(ROUTE, data=fields, files={"file": file})

    def _cpu_s(self) -> float | None:
        return None if self.pid is None else sum(cpu_s(pid) for pid in tree(self.pid))


@contextlib.contextmanager
def child(setting: Setting, *, model: str) -> Iterator[ChildContender]:
    """A process with the setting's environment, its model loaded.

    Raises:
        StartFailure: it did not start; the message ends with what it wrote.
    """
    command = [sys.executable, "-m", "bench.accuracy.child", setting.design, "--model", model]
    with running(command, setting.environment, lines=True) as process:
        yield ChildContender(process, multilingual=bool(_read(process)["multilingual"]))


@contextlib.contextmanager
def server(setting: Setting, *, url: str, pid: int | None) -> Iterator[HttpContender]:
    """A server that runs already, on this machine or elsewhere."""
    with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
        yield HttpContender(client, setting.fields, pid)


def _read(process: subprocess.Popen[str]) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise StartFailure(f"{process.args!r} ended with {process.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer
