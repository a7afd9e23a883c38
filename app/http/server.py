"""Run the worker: listen, load the model, drain, and exit with a code that says why.

0: stopped by a signal, after running requests were answered. 1: could not start. 70: the model hangs or
its device is lost, and a supervisor should start a new process. 128 + n: a second signal n, exit at once.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from app.core.errors import StartupError
from app.http.app import create_app
from app.http.connection import ConnectionLimits, connection_class
from app.ops.tracing_setup import tracer_from_environment
from app.settings.worker import WorkerSettings

log = logging.getLogger("app")

# Above the 60 s for which nginx keeps an idle connection: the worker never closes one that nginx is about to use.
KEEP_ALIVE_S = 75
BACKLOG = 512
# EX_SOFTWARE of sysexits.h: an internal error, not a wrong configuration.
EXIT_CRITICAL = 70
# The time in which other requests may finish when the model hangs or its device is lost.
CRITICAL_GRACE_S = 5.0


class Server(uvicorn.Server):
    """uvicorn's server, which drains on the first signal and exits on the second."""

    def __init__(self, config: uvicorn.Config, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_drain = on_drain

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM here, and do not raise them again: after draining the exit code is 0."""
        before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """First signal: drain. Second signal: exit at once, even during a native call."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse new work before the listener closes, then let running requests finish."""
        self._on_drain()
        log.info("draining")
        await super().shutdown(sockets)


def max_connections() -> int:
    """How many connections may be open: a thousand, or half of the open files that this process is allowed."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ConnectionLimits().max_connections
    return most if allowed == resource.RLIM_INFINITY else min(most, allowed // 2)


def serve(settings: WorkerSettings, listener: socket.socket, *, on_ready: Callable[[], None] | None = None) -> int:
    """Serve on a bound socket until a signal; `on_ready` is called once the model is warm. Returns the exit code."""
    fatal: list[str] = []
    broken: list[str] = []
    server: Server

    def on_fatal(message: str) -> None:
        fatal.append(message)
        server.should_exit = True

    def on_critical(reason: str) -> None:
        """From any thread: answer what still can be answered, then exit."""
        broken.append(reason)
        log.critical("critical failure", extra={"fields": {"reason": reason, "exit_code": EXIT_CRITICAL}})
        faulthandler.dump_traceback(all_threads=True)
        last_resort = threading.Timer(CRITICAL_GRACE_S, os._exit, args=(EXIT_CRITICAL,))
        last_resort.daemon = True
        last_resort.start()
        server.should_exit = True

    tracer = tracer_from_environment("stt-worker")
    try:
        app = create_app(settings, on_fatal=on_fatal, on_ready=on_ready, on_critical=on_critical, tracer=tracer)
    except StartupError as error:
        tracer.close()
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - as below
        return 1
    config = uvicorn.Config(
        app,
        http=connection_class(ConnectionLimits(max_connections=max_connections())),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.shutdown_grace_s,
        backlog=BACKLOG,
    )
    server = Server(config, on_drain=app.state.worker.admission.drain)
    server.run(sockets=[listener])
    tracer.close()
    if broken:
        return EXIT_CRITICAL
    if fatal:
        print(f"error: {fatal[0]}", file=sys.stderr)  # noqa: T201 - one line for people, whatever the log format
        return 1
    log.info("stopped")
    return 0
