"""Start a design as a separate process, wait until it is ready, and stop it."""

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
SHOWN_CHARS = 2000  # of a failed process's error output
# A design uses its own defaults for these variables, not what the benchmark's shell has set.
NOT_INHERITED = (
    "CT2_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "CPU_TUNING",
)  # fmt: skip


class StartFailure(Exception):
    """A design did not start, or ended early; the message ends with its error output."""


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without variables that would tune a design."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(NOT_INHERITED)}
    return {**kept, **extra}


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], *, ready_url: str | None = None, lines: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Run a child process in the repository's root until the block ends.

    Args:
        command: program and arguments.
        env: added to the clean environment.
        ready_url: wait until it answers 200.
        lines: connect the child's standard input and output to pipes.
    Raises:
        StartFailure: the process ended, or was not ready in time.
    """
    pipe = subprocess.PIPE if lines else subprocess.DEVNULL
    with tempfile.TemporaryFile("w+") as error_output:
        child = subprocess.Popen(
            command, cwd=ROOT, env=clean_environment(env), stdin=pipe, stdout=pipe, stderr=error_output, text=True
        )
        try:
            if ready_url is not None:
                _await_ready(child, ready_url)
            yield child
        except StartFailure as exc:
            error_output.seek(0)
            raise StartFailure(f"{exc}; its error output: {error_output.read()[-SHOWN_CHARS:].strip()}") from None
        finally:
            _stop(child)


def _await_ready(child: subprocess.Popen[str], url: str) -> None:
    until_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until_s and child.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310 - a loopback URL from this package
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
