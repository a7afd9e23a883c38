"""`python -m app streaming`: read the settings, wire the gateway, serve until told to stop.

Exit status, as the worker's: 0: asked to stop, and drained. 1: could not listen. 2: a setting cannot
be used. 128 + n: the second signal n, gone at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Any

import httpx
from pydantic import ValidationError

from app.live import logs
from app.live.gateway import ConnectionLimits, Gateway
from app.live.metrics import GatewayMetrics
from app.live.remote import RemoteTranscriber, new_client
from app.live.scheduler import Scheduler
from app.live.server import ServerOptions, listening
from app.live.session.connection import SessionLimits
from app.settings.gateway import GatewaySettings, explain

log = logging.getLogger(__name__)


def serve(*, host: str | None = None, port: int | None = None) -> int:
    """Serve until SIGTERM; what is not given comes from the environment. Returns the exit status."""
    given: dict[str, Any] = {"streaming_host": host, "streaming_port": port}
    try:
        settings = GatewaySettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as invalid:
        sys.stderr.write("".join(f"{line}\n" for line in explain(invalid)))
        return 2
    logs.configure(settings.log_level)
    try:
        asyncio.run(run(settings))
    except OSError as error:
        where = f"{settings.streaming_host}:{settings.streaming_port}"
        sys.stderr.write(f"Cannot listen on {where}: {error.strerror}. Is the port taken?\n")
        return 1
    return 0


async def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            log.warning("gone at the second signal", extra={"signal": number})
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    async with new_client(max_in_flight=settings.remote_transcriber_max_in_flight) as client:
        metrics = GatewayMetrics()
        remote = RemoteTranscriber(
            client,
            url=settings.remote_transcriber_url,
            api_key=settings.remote_key,
            model=settings.remote_transcriber_model,
            temperature=settings.remote_transcriber_temperature,
            timeout_s=settings.remote_transcriber_timeout_s,
            max_retry_after_s=settings.remote_transcriber_max_retry_after_s,
            on_answer=metrics.answered,
        )
        gateway = Gateway(
            policy=settings.policy(),
            limits=SessionLimits(
                max_connection_time_s=settings.max_connection_time_s,
                idle_timeout_s=settings.idle_timeout_s,
                send_timeout_s=settings.send_timeout_s,
                drain_grace_s=settings.drain_grace_s,
                buffer_max_s=settings.buffer_max_s,
                buffer_stall_s=settings.buffer_stall_s,
            ),
            admission=ConnectionLimits(
                max_clients=settings.max_clients, handshake_timeout_s=settings.handshake_timeout_s
            ),
            remote=remote,
            scheduler=Scheduler(settings.remote_transcriber_max_in_flight),
            metrics=metrics,
        )
        options = ServerOptions(
            host=settings.streaming_host,
            port=settings.streaming_port,
            keys=settings.keys,
            max_frame_bytes=settings.max_frame_bytes,
            ping_interval_s=settings.ping_interval_s,
            dead_peer_s=settings.ping_timeout_s,
        )
        async with listening(gateway, options) as server:
            port = server.sockets[0].getsockname()[1]
            log.info(
                "listening",
                extra={"host": options.host, "port": port, "service": httpx.URL(settings.remote_transcriber_url).host},
            )
            await stop.wait()
            log.info("draining")
        log.info("stopped")
