"""All sessions of this process: who is let in, who waits, who is told to go.

Places are counted before anything is awaited, so a burst of clients cannot pass the limit. A client
that finds no place is told how long it may take, and its socket is held until it closes itself: the
stock client reads an immediate close as a normal end. The same uid again means that a client lost
its connection and came back, so the newer connection takes over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from dataclasses import dataclass
from typing import Any

from app.contracts.whisperlive import Error, Handshake, Wait
from app.live.metrics import GatewayMetrics
from app.live.policy.durations import StreamPolicy
from app.live.protocols.whisperlive.frames import BadHandshake, parse_handshake
from app.live.remote import RemoteTranscriber
from app.live.scheduler import Scheduler
from app.live.session.connection import Disconnected, SessionEnd, SessionLimits, Socket
from app.live.session.session import Session

log = logging.getLogger(__name__)

WAIT_HOLD_S = 5.0
MAX_HELD = 200  # more clients than this that found no place are closed at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Who may come in."""

    max_clients: int = 100
    handshake_timeout_s: float = 10.0


class Gateway:
    """Serves sockets; knows nothing of the library they come from."""

    def __init__(
        self,
        *,
        policy: StreamPolicy,
        limits: SessionLimits,
        admission: ConnectionLimits,
        remote: RemoteTranscriber,
        scheduler: Scheduler,
        metrics: GatewayMetrics,
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._admission = admission
        self._remote = remote
        self._scheduler = scheduler
        self._metrics = metrics
        self._sessions: dict[str, Session] = {}  # by our id
        self._by_uid: dict[str, str] = {}
        self._held = 0
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def draining(self) -> bool:
        """No new clients are taken."""
        return self._draining

    async def serve(self, socket: Socket) -> None:
        """One connection, from its first message to its end."""
        try:
            handshake = await self._handshake(socket)
        except Disconnected:
            return
        if handshake is None:
            return
        if not self._has_place(handshake.uid):
            await self._turn_away(socket, handshake.uid)
            return
        await self._serve(socket, handshake)

    async def drain(self) -> None:
        """Take nobody new, flush everybody, and return when all are gone."""
        self._draining = True
        for session in self._sessions.values():
            session.stop(SessionEnd.DRAIN)
        await self._empty.wait()

    def health(self) -> dict[str, Any]:
        """What the health door shows: numbers, nothing a user said or sent."""
        sessions = list(self._sessions.values())
        return {
            "status": "draining" if self._draining else "healthy",
            "active_connections": len(sessions),
            "max_clients": self._admission.max_clients,
            "lag_s": round(max((s.lag_s for s in sessions), default=0.0), 2),
            "buffered_s": round(sum(s.buffered_s for s in sessions), 2),
            "upstream": {"in_flight": self._scheduler.in_flight, "waiting": self._scheduler.waiting},
            "sessions": [
                {
                    "id": key,
                    "age_s": round(s.age_s, 1),
                    "audio_s": round(s.received_s, 1),
                    "buffered_s": round(s.buffered_s, 2),
                    "lag_s": round(s.lag_s, 2),
                }
                for key, s in self._sessions.items()
            ],
        }

    def metrics_text(self) -> bytes:
        """The metrics, gauges set to this moment."""
        self._metrics.sessions_active.set(len(self._sessions))
        self._metrics.buffer_s.set(sum(s.buffered_s for s in self._sessions.values()))
        self._metrics.calls_in_flight.set(self._scheduler.in_flight)
        self._metrics.calls_waiting.set(self._scheduler.waiting)
        return self._metrics.text()

    async def _handshake(self, socket: Socket) -> Handshake | None:
        """The handshake; None if there was none that can be served, and the client has been told."""
        try:
            async with asyncio.timeout(self._admission.handshake_timeout_s):
                handshake = parse_handshake(await socket.receive())
            return handshake if handshake.uid else handshake.model_copy(update={"uid": str(uuid.uuid4())})
        except TimeoutError:
            await self._refuse(socket, "handshake_timeout", "No handshake came.")
        except BadHandshake as bad:
            await self._refuse(socket, "bad_handshake", str(bad), uid=bad.uid)
        return None

    async def _refuse(self, socket: Socket, reason: str, text: str, *, uid: str = "") -> None:
        self._metrics.refused.labels(reason).inc()
        with contextlib.suppress(Disconnected):
            await socket.send(Error(uid=uid, message=text).to_json())
        await socket.close(1008, reason)

    def _has_place(self, uid: str) -> bool:
        return not self._draining and (len(self._sessions) < self._admission.max_clients or uid in self._by_uid)

    async def _turn_away(self, socket: Socket, uid: str) -> None:
        """WAIT with an estimate in minutes, then the client's own close or ours."""
        self._metrics.refused.labels("full").inc()
        remaining = [self._limits.max_connection_time_s - s.age_s for s in self._sessions.values()]
        minutes = max(0.1, min(remaining, default=60.0) / 60)
        if self._draining or self._held >= MAX_HELD:
            await socket.close(1013, "full")
            return
        self._held += 1
        try:
            with contextlib.suppress(Disconnected, TimeoutError):
                await socket.send(Wait(uid=uid, message=round(minutes, 2)).to_json())
                async with asyncio.timeout(WAIT_HOLD_S):
                    while True:
                        await socket.receive()
        finally:
            self._held -= 1
        await socket.close(1013, "full")

    async def _serve(self, socket: Socket, handshake: Handshake) -> None:
        session_id = uuid.uuid4().hex[:12]
        session = Session(
            socket,
            handshake,
            policy=self._policy,
            limits=self._limits,
            remote=self._remote,
            scheduler=self._scheduler,
            metrics=self._metrics,
            session_id=session_id,
        )
        self._take_over(handshake.uid, session_id)
        self._sessions[session_id] = session
        self._empty.clear()
        log.info("session started", extra={"session": session_id, "clients": len(self._sessions)})
        ending = SessionEnd.LEFT
        try:
            ending = await session.run()
        finally:
            del self._sessions[session_id]
            if not self._sessions:
                self._empty.set()
            if self._by_uid.get(handshake.uid) == session_id:
                del self._by_uid[handshake.uid]
            self._metrics.sessions.labels(ending.value).inc()
            fields = {
                "session": session_id,
                "ending": ending.value,
                "audio_s": round(session.received_s, 1),
                "unheard_s": round(session.unheard_s, 1),
            }
            log.info("session ended", extra=fields)

    def _take_over(self, uid: str, session_id: str) -> None:
        """The connection that used this uid before is a dead one's remains."""
        old = self._by_uid.get(uid)
        if old is not None and old in self._sessions:
            self._sessions[old].stop(SessionEnd.REPLACED)
        self._by_uid[uid] = session_id
