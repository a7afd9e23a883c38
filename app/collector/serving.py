"""The HTTP server inside the collector's event loop; the process handles the signals, not the server."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI

KEEP_ALIVE_S: Final = 75  # above the 60 s for which nginx keeps an idle connection
GRACE_S: Final = 3  # for requests under way; a live stream never ends by itself
MAX_MESSAGE_BYTES: Final = 65_536  # of a WebSocket; a longer one is refused before it is held in memory


class Server(uvicorn.Server):
    """uvicorn's server without signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    def stop(self) -> None:
        """Take no new requests, and end those under way within the grace time."""
        self.should_exit = True

    async def run_on(self, listener: socket.socket) -> None:
        """Serve on a bound socket until stopped."""
        await self.serve(sockets=[listener])


def build_server(app: FastAPI) -> Server:
    """A server that logs no request: addresses of live streams may hold a key."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws_max_size=MAX_MESSAGE_BYTES,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config)
