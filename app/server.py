"""Run the worker: bind, listen, load, drain, and leave with an exit code that tells the truth.

0: asked to stop, and every running request was answered. 1: could not start. 70: the model hangs or
its device is lost; a supervisor should start a fresh process. 128 + n: the second signal n, gone at once.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import uvicorn

from app import logs, tuning
from app.application import create_app
from app.errors import StartupError
from app.settings import Settings, load_settings

log = logging.getLogger("app")

# Above the 60 s for which nginx keeps an idle connection, so that we never close one it is about to use.
KEEP_ALIVE_S = 75
BACKLOG = 512
# EX_SOFTWARE of sysexits.h: something inside is broken, not the configuration.
BROKEN = 70
# What other requests get to finish in when the model hangs or its device is lost.
CRITICAL_GRACE_S = 5.0
DEMO_NOTE = (
    "MODEL_SIZE is not set: using the bundled demo model (synthetic voices only); "
    "for a real model: MODEL_SIZE=large-v3-turbo make run"
)


class Server(uvicorn.Server):
    """uvicorn, draining on the first signal and leaving on the second."""

    def __init__(self, config: uvicorn.Config, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_drain = on_drain

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM here and do not raise them again: a drained exit is exit 0."""
        before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """First signal: drain. Second: gone at once, whatever a native call is doing."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse new work before the listener closes, then let what runs finish."""
        self._on_drain()
        log.info("draining")
        await super().shutdown(sockets)


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
            print(DEMO_NOTE)  # noqa: T201 - for the person who typed `make run`
        listener = bind(settings.host, settings.port)
    except StartupError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - the logs are not set up yet
        return 1
    logs.configure(level=settings.log_level, style=settings.log_format, worker_id=settings.worker_id)
    _say_what_matters(settings)
    return serve(settings, listener, on_ready=(lambda: say_first_steps(settings)) if demo else None)


def serve(settings: Settings, listener: socket.socket, *, on_ready: Callable[[], None] | None = None) -> int:
    """Serve on a bound socket; returns the exit code. `on_ready` is called once the model is warm."""
    fatal: list[str] = []
    broken: list[str] = []
    server: Server

    def on_fatal(message: str) -> None:
        fatal.append(message)
        server.should_exit = True

    def on_critical(reason: str) -> None:
        """From any thread: answer what still can be answered, then leave for good."""
        broken.append(reason)
        log.critical("this process can serve no more", extra={"fields": {"reason": reason, "exit_code": BROKEN}})
        faulthandler.dump_traceback(all_threads=True)
        last_resort = threading.Timer(CRITICAL_GRACE_S, leave, args=(BROKEN,))
        last_resort.daemon = True
        last_resort.start()
        server.should_exit = True

    app = create_app(settings, on_fatal=on_fatal, on_ready=on_ready, on_critical=on_critical)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.shutdown_grace_s,
        backlog=BACKLOG,
    )
    server = Server(config, on_drain=app.state.service.admission.drain)
    server.run(sockets=[listener])
    if broken:
        return BROKEN
    if fatal:
        print(f"error: {fatal[0]}", file=sys.stderr)  # noqa: T201 - one line for people, whatever the log format
        return 1
    log.info("stopped")
    return 0


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


def say_first_steps(settings: Settings) -> None:
    """Print a curl line that works as it is pasted."""
    print(first_steps(settings), flush=True)  # noqa: T201 - for the person who typed `make run`


def first_steps(settings: Settings) -> str:
    """A curl line that fits this configuration."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    key = " -H 'Authorization: Bearer '\"${API_KEY:?set it to one of API_KEYS}\"" if settings.keys else ""
    sample = Path(__file__).resolve().parents[1] / "tests" / "audio" / "en-00.wav"
    return (
        "ready; try:\n"
        f"  curl{key} -F file=@{shlex.quote(str(sample))} -F model=whisper-1 -F response_format=text "
        f"http://{host}:{settings.port}/v1/audio/transcriptions"
    )


def leave(code: int) -> None:
    """Exit now: a native call that never returns must not keep a stopped process alive."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _say_what_matters(settings: Settings) -> None:
    if not settings.keys:
        log.warning("no API_KEYS are set: everybody who reaches this address may use it")
    log.info("starting", extra={"fields": {"address": f"http://{settings.host}:{settings.port}"}})
