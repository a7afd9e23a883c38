"""The gateway in its own thread, on a real port, for clients with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.live.admission import StreamLimits
from app.live.gateway import Gateway
from app.live.metrics import GatewayMetrics
from app.live.policy.stream_policy import StreamPolicy
from app.live.remote import RemoteTranscriber, new_client
from app.live.scheduler import Scheduler
from app.live.server import ServerOptions, listening
from app.live.session.connection import SessionLimits
from app.ops.keys import KeyRing


@dataclass
class Running:
    """A gateway that listens.

    Attributes:
        gateway: only to be read, because it runs in another thread.
    """

    port: int
    gateway: Gateway
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    thread: threading.Thread

    @property
    def url(self) -> str:
        """For WebSocket clients."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def http(self) -> str:
        """For plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def terminate(self) -> None:
        """Stop it, as SIGTERM does."""
        with contextlib.suppress(RuntimeError):  # it has stopped already
            self.loop.call_soon_threadsafe(self.stop.set)


@contextmanager
def running(
    url: str,
    *,
    policy: StreamPolicy | None = None,
    limits: SessionLimits | None = None,
    admission: StreamLimits | None = None,
    slots: int = 8,
    keys: tuple[str, ...] = (),
    max_frame_bytes: int = 2 * 2**20,
    ping_s: float = 20.0,
    dead_peer_s: float = 60.0,
) -> Iterator[Running]:
    """Serve with the transcription service at `url` until the block ends."""
    started = threading.Event()
    found: list[Running] = []

    async def serve() -> None:
        async with new_client(max_in_flight=slots) as client:
            metrics = GatewayMetrics()
            gateway = Gateway(
                policy=policy or StreamPolicy(),
                limits=limits or SessionLimits(),
                admission=admission or StreamLimits(),
                remote=RemoteTranscriber(client, url=url, on_answer=metrics.answered),
                scheduler=Scheduler(slots),
                metrics=metrics,
            )
            stop = asyncio.Event()
            options = ServerOptions(
                port=0,
                keys=KeyRing(keys),
                max_frame_bytes=max_frame_bytes,
                ping_interval_s=ping_s,
                dead_peer_s=dead_peer_s,
            )
            async with listening(gateway, options) as server:
                port = server.sockets[0].getsockname()[1]
                found.append(Running(port, gateway, asyncio.get_running_loop(), stop, thread))
                started.set()
                await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield found[0]
    finally:
        found[0].terminate()
        thread.join(40)
