"""Start a design as a process of its own, wait until it is ready, and stop it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READY_WITHIN_S = 180.0
STOP_WITHIN_S = 30.0
SHOWN_CHARS = 2000
# A design starts from these defaults of its own, not from what the benchmark's shell happens to hold.
NOT_INHERITED = (
    "CT2_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "CPU_TUNING",
)  # fmt: skip


class StartFailure(Exception):
    """A design did not come up, or ended early; the message ends with what it said."""


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would tune a design behind its back."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(NOT_INHERITED)}
    return {**kept, **extra}


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], *, ready_url: str | None = None, lines: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """A child process from the repository's root, stopped on the way out.

    Args:
        command: program and arguments.
        env: added to a clean environment.
        ready_url: waited for until it answers 200.
        lines: give the child pipes for standard input and output.
    Raises:
        StartFailure: it ended, or did not become ready in time.
    """
    pipe = subprocess.PIPE if lines else subprocess.DEVNULL
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            command, cwd=ROOT, env=clean_environment(env), stdin=pipe, stdout=pipe, stderr=said, text=True
        )
        try:
            if ready_url is not None:
                _await_ready(child, ready_url)
            yield child
        except StartFailure as exc:
            said.seek(0)
            raise StartFailure(f"{exc}; it said: {said.read()[-SHOWN_CHARS:].strip()}") from None
        finally:
            _stop(child)


def _await_ready(child: subprocess.Popen[str], url: str) -> None:
    until_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until_s and child.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback, made here
            return  # any other status than success is an HTTPError, which is an OSError
        time.sleep(0.1)
    raise StartFailure(f"{child.args!r} did not become ready")


def _stop(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()
