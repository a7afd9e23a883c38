"""`python -m app collect`: read the settings, open the database, store transcripts and serve them until stopped.

Exit status: 0: stopped by a signal. 1: could not listen, or a bug ended a loop. 2: a setting or the database cannot
be used. 128 + n: ended at once by a second signal n.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

from app.collector.clock import SystemClock
from app.collector.decode import decoder
from app.collector.errors import DatabaseAway
from app.collector.failures import describe
from app.collector.jobs import Ages
from app.collector.process import Formats, Process, ProcessOptions
from app.collector.redis_io.reader import ReadOptions
from app.collector.render.frames import Frame, frames
from app.collector.rows import Change
from app.collector.services import ApiOptions
from app.collector.storage import Storage
from app.collector.store.store import Store
from app.collector.waiting import pause
from app.core.errors import StartupError
from app.ops import logs
from app.ops.addresses import is_loopback
from app.ops.backoff import Backoff
from app.ops.tracing import Tracer
from app.ops.tracing_setup import tracer_from_environment
from app.settings.collector import CollectorSettings, load_collector_settings

log = logging.getLogger(__name__)

BACKLOG: Final = 512

T = TypeVar("T")


def serve(*, host: str | None = None, port: int | None = None, consume: bool = True, api: bool = True) -> int:
    """Run until SIGTERM; `host` and `port` win over the environment. Returns the exit status.

    Args:
        host: address to listen on.
        port: port to listen on.
        consume: read the streams and store them.
        api: serve transcripts, health and metrics.
    """
    given: dict[str, Any] = {"collector_host": host, "collector_port": port}
    try:
        settings = load_collector_settings(**{name: value for name, value in given.items() if value is not None})
        if api:
            require_secret(settings)
    except StartupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    logs.configure(level=settings.log_level, style=settings.log_format.lower(), service="stt-collector")
    try:
        listener = bind(settings) if api else None
    except OSError as error:
        where = f"{settings.collector_host}:{settings.collector_port}"
        sys.stderr.write(f"error: cannot listen on {where}: {error.strerror}. Is the port taken?\n")
        return 1
    tracer = tracer_from_environment("stt-collector")
    try:
        asyncio.run(run(settings, listener, tracer, consume=consume))
    except StartupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except RuntimeError as error:
        log.critical("the collector failed; this is a bug", extra={"fields": describe(error)})
        return 1
    finally:
        if listener is not None:
            listener.close()
        tracer.close()
    return 0


def require_secret(settings: CollectorSettings) -> None:
    """Refuse to let everyone name an owner.

    Raises:
        StartupError: X-User-Id is trusted, and nothing proves who sends it.
    """
    if settings.trust_x_user_id and not settings.internal_api_secret.get_secret_value():
        raise StartupError("TRUST_X_USER_ID=true needs INTERNAL_API_SECRET, or everyone could name an owner; set both")


async def has_key(settings: CollectorSettings, store: Storage) -> bool:
    """Is there a key, static or stored, that readers can send?

    Raises:
        StartupError: there is none, and everyone who can reach this machine could read the transcripts.
    """
    if settings.keys or await store.has_keys(now_ms=SystemClock().now_ms()):
        return True
    if not settings.trust_x_user_id and not is_loopback(settings.collector_host):
        raise StartupError(
            f"COLLECTOR_HOST={settings.collector_host} lets others in, and COLLECTOR_API_KEYS is empty; set a key, "
            "make one with `python -m app collector token create`, or listen on 127.0.0.1"
        )
    return False


def bind(settings: CollectorSettings) -> socket.socket:
    """A socket that listens already, so that a taken port stops the start.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in settings.collector_host else socket.AF_INET
    listener = socket.create_server((settings.collector_host, settings.collector_port), family=family, backlog=BACKLOG)
    # Accepted sockets inherit it. asyncio sets it only where it made the listener; without it the body of an answer,
    # which is written after its head, waits 40 ms for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def run(settings: CollectorSettings, listener: socket.socket | None, tracer: Tracer, *, consume: bool) -> None:
    """Open the database, and run until SIGTERM or SIGINT; a second signal ends the process at once.

    Raises:
        StartupError: the database cannot be used.
        RuntimeError: a loop ended that should not have.
    """
    stop = asyncio.Event()
    process: Process | None = None

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        log.info("stopping")
        if process is not None:
            process.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    store = await retry_while_away(partial(open_store, settings), stop)
    if store is None:
        return
    clock = SystemClock()

    def live_frames(change: Change) -> list[Frame]:
        return frames(change, now_ms=clock.now_ms())

    try:
        keyed = listener is not None and await retry_while_away(partial(has_key, settings, store), stop)
        decode = decoder(
            speaker_stream=settings.redis_speaker_events_stream_name,
            secret=settings.meeting_token_secret.get_secret_value(),
        )
        process = Process(
            process_options(settings, consume=consume, keyed=bool(keyed)),
            store,
            Formats(decode, live_frames),
            clock=clock,
            after_commit=failpoint(os.environ.get("COLLECTOR_FAILPOINT", "")),
            tracer=tracer,
        )
        fields: dict[str, object] = {"consume": consume}
        if listener is not None:
            fields |= {"host": settings.collector_host, "port": listener.getsockname()[1]}
        log.info("collecting", extra={"fields": fields})
        if not stop.is_set():
            await process.run(listener)
    finally:
        await store.close()
    log.info("stopped")


async def open_store(settings: CollectorSettings) -> Store:
    """The database, with its tables.

    Raises:
        StartupError: the address cannot be used, or the tables are not this program's.
        DatabaseAway: it does not answer.
    """
    return await Store.open(
        settings.database_url.get_secret_value(),
        migrate=settings.collector_migrate,
        meeting_idle_s=settings.meeting_idle_s,
    )


async def retry_while_away(ask: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T | None:
    """What the database answers, as soon as it does; None if the process is stopped before."""
    backoff = Backoff(0.5, 5.0)
    while not stop.is_set():
        try:
            return await ask()
        except DatabaseAway as error:
            log.warning("waiting for the database", extra={"fields": {"reason": str(error)}})
            await pause(SystemClock(), backoff.next_s(), stop)
    return None


def process_options(settings: CollectorSettings, *, consume: bool, keyed: bool) -> ProcessOptions:
    """The settings as the process takes them, with a consumer name that no other process has.

    Args:
        settings: all of them.
        consume: read the streams.
        keyed: there is a key, so nobody reads without one.
    """
    consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    streams = (settings.redis_stream_name, settings.redis_speaker_events_stream_name)
    return ProcessOptions(
        redis_url=settings.redis_address,
        read=ReadOptions(streams, settings.redis_consumer_group, consumer),
        ages=Ages(
            draft_promote_s=settings.draft_promote_s,
            meeting_idle_s=settings.meeting_idle_s,
            retention_days=settings.retention_days,
        ),
        api=ApiOptions(
            keys=settings.keys,
            needs_key=keyed or not is_loopback(settings.collector_host),
            internal_secret=settings.internal_api_secret.get_secret_value(),
            trust_x_user_id=settings.trust_x_user_id,
            stream=settings.redis_stream_name,
            meeting_idle_s=settings.meeting_idle_s,
        ),
        stream_retention_s=settings.stream_retention_s,
        lag_alarm_s=settings.lag_alarm_s,
        consume=consume,
        revision=settings.build_revision,
    )


def failpoint(name: str) -> Callable[[], None]:
    """For tests only: `COLLECTOR_FAILPOINT=after_commit` kills the process between a commit and its acknowledgement.

    Raises:
        StartupError: there is no such point.
    """
    if not name:
        return lambda: None
    if name != "after_commit":
        raise StartupError(f"COLLECTOR_FAILPOINT={name} is not allowed: the only one is after_commit")
    return partial(os.kill, os.getpid(), signal.SIGKILL)
