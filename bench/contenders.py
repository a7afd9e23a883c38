"""The designs under comparison: each runs as a separate process and performs rounds of load."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench import http_load
from bench.arithmetic import Round
from bench.processes import StartFailure, free_port, running

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The settings that all designs of a run share."""

    model: Path
    clip_s: float
    compute_type: str
    beam_size: int
    language: str | None
    fail_fast: bool
    limit_s: float
    extra_fields: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> dict[str, str]:
        """The form fields of every request besides the file."""
        language = {"language": self.language} if self.language else {}
        return {**http_load.FIELDS, **language, **dict(self.extra_fields)}


class Contender(Protocol):
    """A running design."""

    def round(self, *, clients: int, n_requests: int) -> Round:
        """Run one round of closed-loop load."""


@dataclass(frozen=True, slots=True)
class HttpContender:
    """A server on loopback."""

    url: str
    pid: int
    files: Sequence[bytes]
    conditions: Conditions

    def round(self, *, clients: int, n_requests: int) -> Round:
        """See `Contender.round`."""
        return http_load.run_round(
            self.url,
            self.pid,
            self.files,
            clients=clients,
            n_requests=n_requests,
            limit_s=self.conditions.limit_s,
            fields=self.conditions.fields,
        )


@dataclass(frozen=True, slots=True)
class EngineContender:
    """The engine without HTTP, in a child process that reads and writes lines."""

    child: subprocess.Popen[str]

    def round(self, *, clients: int, n_requests: int) -> Round:
        """See `Contender.round`.

        Raises:
            StartFailure: the child has ended.
        """
        if self.child.stdin is None or self.child.stdout is None:
            raise StartFailure("the engine's child has no pipes. This is a bug.")
        print(json.dumps({"clients": clients, "requests": n_requests}), file=self.child.stdin, flush=True)
        answer = self.child.stdout.readline()
        if not answer:
            raise StartFailure(f"the engine's process ended with {self.child.wait()}")
        facts = json.loads(answer)
        texts = tuple((number, text) for number, text in facts.pop("texts"))
        return Round(texts=texts, latencies_s=tuple(facts.pop("latencies_s")), **facts)


@contextlib.contextmanager
def worker(conditions: Conditions, files: Sequence[bytes], extra: Mapping[str, str]) -> Iterator[HttpContender]:
    """Run the worker as users do: `python main.py`, configured by its environment."""
    port = free_port()
    env = {
        "HOST": HOST,
        "PORT": str(port),
        "MODEL_SIZE": str(conditions.model),
        "COMPUTE_TYPE": conditions.compute_type,
        "BEAM_SIZE": str(conditions.beam_size),
        "FAIL_FAST_WHEN_BUSY": str(conditions.fail_fast).lower(),
        "MAX_QUEUE_SIZE": "64",
        "LOG_LEVEL": "warning",
        **extra,
    }
    url = f"http://{HOST}:{port}"
    with running([sys.executable, "main.py"], env, ready_url=f"{url}/health/ready") as child:
        yield HttpContender(url, child.pid, files, conditions)


@contextlib.contextmanager
def stock(conditions: Conditions, files: Sequence[bytes]) -> Iterator[HttpContender]:
    """Run the plain design of `bench/stock.py`."""
    port = free_port()
    command = [
        sys.executable, "-m", "bench.stock", "--model", str(conditions.model), "--port", str(port),
        "--compute-type", conditions.compute_type, "--beam-size", str(conditions.beam_size),
        *(["--fail-fast"] if conditions.fail_fast else []),
    ]  # fmt: skip
    url = f"http://{HOST}:{port}"
    with running(command, {}, ready_url=f"{url}/health/ready") as child:
        yield HttpContender(url, child.pid, files, conditions)


@contextlib.contextmanager
def bare_engine(
    conditions: Conditions, extra: Mapping[str, str], *, clients: int, recordings: Path | None = None
) -> Iterator[Contender]:
    """Run the engine without HTTP, for at most `clients` requests at once."""
    command = [
        sys.executable, "-m", "bench.engine", "--lines", "--model", str(conditions.model),
        "--compute-type", conditions.compute_type, "--clip", str(conditions.clip_s), "--clients", str(clients),
        "--language", conditions.language or "", *(["--set", str(recordings)] if recordings else []),
    ]  # fmt: skip
    env = {"BEAM_SIZE": str(conditions.beam_size), "LOG_LEVEL": "warning", **extra}
    with running(command, env, lines=True) as child:
        if child.stdout is None or child.stdout.readline().strip() != "ready":
            raise StartFailure(f"{command!r} ended with {child.wait()}")
        yield EngineContender(child)
