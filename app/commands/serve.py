"""The first moments of the process: settings, tuning, the port; only then the heavy imports.

Re-executing in the tuned environment costs what was imported before it, so this file imports little.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import socket
import sys
from pathlib import Path

from app.core.errors import StartupError
from app.ops import logs, tuning
from app.settings.worker import WorkerSettings, load_settings

log = logging.getLogger("app")

DEMO_NOTE = (
    "MODEL_SIZE is not set: using the bundled demo model (synthetic voices only); "
    "for a real model: MODEL_SIZE=large-v3-turbo make run"
)


def run(*, demo: bool = False, **overrides: object) -> int:
    """Serve until told to stop.

    Args:
        demo: take the bundled demo model unless MODEL_SIZE is set, and print the first steps.
        overrides: settings (host, port, ...) that win over the environment.
    """
    try:
        settings = load_settings(**overrides)
        tuning.apply(enabled=settings.cpu_tuning)
        if demo and "model_size" not in settings.model_fields_set:
            settings = load_settings(**overrides, model_size="demo")
            print(DEMO_NOTE, flush=True)  # noqa: T201 - for the person who typed `make run`
        listener = bind(settings.host, settings.port)
    except StartupError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - the logs are not set up yet
        return 1
    logs.configure(level=settings.log_level, style=settings.log_format, worker_id=settings.worker_id)
    _say_what_matters(settings)
    from app.http.server import serve  # noqa: PLC0415 - imports the engine: after the tuning, not before

    return serve(settings, listener, on_ready=(lambda: say_first_steps(settings)) if demo else None)


def tune() -> None:
    """Tune the process for a command that runs the model without serving."""
    with contextlib.suppress(StartupError):  # the command itself says what is wrong, in its own words
        tuning.apply(enabled=load_settings().cpu_tuning)


def bind(host: str, port: int) -> socket.socket:
    """A listening address of our own, claimed before anything slow happens.

    Raises:
        StartupError: the port is taken, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise StartupError(
            f"HOST={host} PORT={port}: cannot listen there ({exc.strerror or exc}); stop what uses the port "
            "or set another PORT"
        ) from exc
    return listener


def say_first_steps(settings: WorkerSettings) -> None:
    """Print a curl line that works as it is pasted."""
    print(first_steps(settings), flush=True)  # noqa: T201 - for the person who typed `make run`


def first_steps(settings: WorkerSettings) -> str:
    """A curl line that fits this configuration."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    url = f"http://{_in_url(host)}:{settings.port}/v1/audio/transcriptions"
    key = " -H 'Authorization: Bearer '\"${API_KEY:?set it to one of API_KEYS}\"" if settings.keys else ""
    sample = Path(__file__).resolve().parents[2] / "tests" / "audio" / "en-00.wav"
    return (
        "ready; try:\n"
        f"  curl{key} -F file=@{shlex.quote(str(sample))} -F model=whisper-1 -F response_format=text "
        f"{shlex.quote(url)}"
    )


def _say_what_matters(settings: WorkerSettings) -> None:
    if not settings.keys:
        log.warning("no API_KEYS are set: everybody who reaches this address may use it")
    log.info("starting", extra={"fields": {"address": f"http://{_in_url(settings.host)}:{settings.port}"}})


def _in_url(host: str) -> str:
    """An address as it stands in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
