"""`python -m app streaming`: read the settings, build the gateway, serve until stopped.

Exit status, as the worker's: 0: stopped by a signal, and drained. 1: could not listen. 2: a setting
cannot be used. 128 + n: ended at once by a second signal n.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Any

import httpx

from app.core.errors import StartupError
from app.live.admission import StreamLimits
from app.live.gateway import Gateway
from app.live.metrics import GatewayMetrics
from app.live.policy.stream_policy import StreamPolicy
from app.live.publish.dialects import DIALECTS
from app.live.publish.recorder import Target
from app.live.remote import RemoteTranscriber, new_client
from app.live.scheduler import Scheduler
from app.live.server import ServerOptions, listening
from app.live.session.connection import SessionLimits
from app.live.session.recorder import Recording
from app.ops import logs
from app.ops.addresses import is_loopback
from app.ops.keys import KeyRing
from app.ops.keys_file import KeysFile
from app.ops.keys_watch import watch_keys
from app.ops.loop_lag import watching_loop_lag
from app.ops.tracing import NO_TRACER, Tracer
from app.ops.tracing_setup import tracer_from_environment
from app.settings.gateway import GatewaySettings, load_gateway_settings

if TYPE_CHECKING:
    from app.live.publish.publisher import Publisher

log = logging.getLogger(__name__)


def serve(*, host: str | None = None, port: int | None = None) -> int:
    """Serve until SIGTERM; `host` and `port` win over the environment. Returns the exit status."""
    given: dict[str, Any] = {"streaming_host": host, "streaming_port": port}
    try:
        settings = load_gateway_settings(**{name: value for name, value in given.items() if value is not None})
    except StartupError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure(level=settings.log_level, style=settings.log_format.lower(), service="stt-gateway")
    tracer = tracer_from_environment("stt-gateway")
    try:
        asyncio.run(run(settings, tracer))
    except StartupError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        where = f"{settings.streaming_host}:{settings.streaming_port}"
        sys.stderr.write(f"Cannot listen on {where}: {error.strerror}. Is the port taken?\n")
        return 1
    finally:
        tracer.close()
    return 0


async def run(settings: GatewaySettings, tracer: Tracer) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            log.warning("exiting at the second signal", extra={"fields": {"signal": number}})
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    metrics = GatewayMetrics(revision=settings.build_revision)
    async with (
        watching_loop_lag(metrics.loop_lag_s.set),
        new_client(max_in_flight=settings.remote_transcriber_max_in_flight) as client,
        publishing(settings, metrics) as publisher,
        accepted_keys(settings) as keys,
    ):
        gateway = build_gateway(settings, client, metrics=metrics, recording=publisher, tracer=tracer)
        options = ServerOptions(
            host=settings.streaming_host,
            port=settings.streaming_port,
            keys=keys,
            origins=settings.origins,
            trusted_proxies=settings.forwarded_allow_ips,
            max_frame_bytes=settings.max_frame_bytes,
            ping_interval_s=settings.ping_interval_s,
            dead_peer_s=settings.ping_timeout_s,
        )
        async with listening(gateway, options) as server:
            fields = {
                "host": options.host,
                "port": server.sockets[0].getsockname()[1],
                "transcriber": httpx.URL(settings.remote_transcriber_url).host,
            }
            log.info("listening", extra={"fields": fields})
            if keys.is_open and not is_loopback(options.host):
                log.warning("no API keys are set: anyone who can reach this address can open streams")
            await stop.wait()
            log.info("draining")
        log.info("stopped")


@asynccontextmanager
async def accepted_keys(settings: GatewaySettings) -> AsyncIterator[KeyRing]:
    """The keys that clients may present; those of the keys file are followed until the block ends.

    Raises:
        StartupError: API_KEYS_FILE cannot be used.
    """
    if not settings.keys_file:
        yield KeyRing(settings.keys)
        return
    file = KeysFile(settings.keys_file)
    ring = KeyRing(settings.keys, named=file.load())
    if not settings.remote_key:
        log.warning("REMOTE_TRANSCRIBER_API_KEY is empty: workers that use API_KEYS_FILE refuse this gateway")
    following = asyncio.create_task(watch_keys(file, ring.replace_named))
    try:
        yield ring
    finally:
        following.cancel()


@asynccontextmanager
async def publishing(settings: GatewaySettings, metrics: GatewayMetrics) -> AsyncIterator[Publisher | None]:
    """A publisher until the block ends; None without REDIS_URL: then redis is not even imported.

    Raises:
        StartupError: REDIS_SPOOL_DIR cannot be used.
    """
    url = settings.redis_url.get_secret_value()
    if not url:
        yield None
        return
    from app.live.publish.link import RedisLink  # noqa: PLC0415 - a gateway that stores nothing needs no redis
    from app.live.publish.publisher import Publisher, PublisherOptions  # noqa: PLC0415
    from app.live.publish.spool import Spool  # noqa: PLC0415

    target = Target(
        segments_stream=settings.redis_stream_key,
        speaker_stream=settings.redis_speaker_events_relative_stream_key,
        dialect=DIALECTS[settings.redis_dialect],
    )
    try:
        spool = Spool(Path(settings.redis_spool_dir)) if settings.redis_spool_dir else None
    except OSError as error:
        raise StartupError(f"REDIS_SPOOL_DIR={settings.redis_spool_dir!r} cannot be used: {error.strerror}") from None
    options = PublisherOptions(target=target, gateway=gethostname(), stream_max=settings.redis_stream_max)
    link = RedisLink(url, streams=(target.segments_stream, target.speaker_stream))
    publisher = Publisher(link, options, metrics, spool=spool)
    try:
        yield publisher
    finally:
        await publisher.close()


def build_gateway(
    settings: GatewaySettings,
    client: httpx.AsyncClient,
    *,
    metrics: GatewayMetrics,
    recording: Recording | None = None,
    tracer: Tracer = NO_TRACER,
) -> Gateway:
    """A gateway with these settings that calls the transcription service through `client`."""
    return Gateway(
        policy=stream_policy(settings),
        limits=SessionLimits(
            max_connection_time_s=settings.max_connection_time_s,
            idle_timeout_s=settings.idle_timeout_s,
            send_timeout_s=settings.send_timeout_s,
            drain_grace_s=settings.drain_grace_s,
            buffer_max_s=settings.buffer_max_s,
            buffer_stall_s=settings.buffer_stall_s,
        ),
        admission=StreamLimits(
            max_clients=settings.max_clients,
            max_per_key=settings.max_streams_per_key,
            max_per_address=settings.streams_per_address,
            handshake_timeout_s=settings.handshake_timeout_s,
        ),
        remote=RemoteTranscriber(
            client,
            url=settings.remote_transcriber_url,
            api_key=settings.remote_key,
            model=settings.remote_transcriber_model,
            temperature=settings.remote_transcriber_temperature,
            timeout_s=settings.remote_transcriber_timeout_s,
            max_retry_after_s=settings.remote_transcriber_max_retry_after_s,
            on_answer=metrics.answered,
        ),
        scheduler=Scheduler(settings.remote_transcriber_max_in_flight),
        metrics=metrics,
        recording=recording,
        tracer=tracer,
    )


def stream_policy(settings: GatewaySettings) -> StreamPolicy:
    """The commit policy with the operator's durations."""
    return StreamPolicy(
        step_s=settings.step_s,
        pause_s=settings.pause_s,
        idle_flush_s=settings.idle_flush_s,
        guard_s=settings.guard_s,
        max_wait_s=settings.max_wait_s,
        trim_s=settings.trim_s,
        max_window_s=settings.max_window_s,
        full_s=0.9 * settings.max_window_s,
        max_segment_s=settings.max_segment_s,
        complete_after_s=settings.complete_after_s,
        prompt_chars=settings.prompt_chars,
    )
