"""All streams of this process: which clients are admitted, which have to wait, and the orderly stop.

A stream is counted before anything is awaited, so a burst of clients cannot exceed the limits. A
client over a limit gets WAIT with an estimate, and its socket is held until it closes itself: the
stock client reads an immediate close as a normal end. A client that connects again with the uid of
its own open stream replaces that stream: it gets its place, and starts when it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from app.contracts.whisperlive import Error, Handshake, Wait
from app.live.admission import Caller, Refusal, StreamLimits, refusal
from app.live.metrics import GatewayMetrics
from app.live.policy.stream_policy import StreamPolicy
from app.live.protocols.whisperlive.frames import BadHandshake, parse_handshake
from app.live.remote import RemoteTranscriber
from app.live.scheduler import Scheduler
from app.live.session.connection import CLOSE_CODES, Disconnected, SessionEnd, SessionLimits, Socket
from app.live.session.recorder import Recording
from app.live.session.session import Session
from app.ops.trace_context import new_context, serving
from app.ops.tracing import NO_TRACER, Span, Tracer
from app.ops.version import VERSION

log = logging.getLogger(__name__)

WAIT_HOLD_S = 5.0
MAX_HELD = 200  # further clients that get no place are closed at once


@dataclass(eq=False, slots=True)
class OpenStream:
    """An admitted client.

    Attributes:
        session: None until the stream it replaces has ended.
        replaced: its place belongs to a newer connection of the same client.
        ended: set when nothing of it is left.
    """

    id: str
    caller: Caller
    uid: str
    session: Session | None = None
    replaced: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Gateway:
    """Serves connections, whichever WebSocket library they come from."""

    def __init__(
        self,
        *,
        policy: StreamPolicy,
        limits: SessionLimits,
        admission: StreamLimits,
        remote: RemoteTranscriber,
        scheduler: Scheduler,
        metrics: GatewayMetrics,
        recording: Recording | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """`recording` stores the transcripts; without it nobody does. `tracer` records sessions and their requests."""
        self._tracer = tracer
        self._recording = recording
        self._policy = policy
        self._limits = limits
        self._admission = admission
        self._remote = remote
        self._scheduler = scheduler
        self._metrics = metrics
        metrics.sessions_limit.set(admission.max_clients)
        self._connections: dict[str, OpenStream] = {}  # by our id
        self._by_client: dict[tuple[str, str], OpenStream] = {}  # by the caller's identity and its uid
        self._held = 0
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def draining(self) -> bool:
        """No new clients are admitted."""
        return self._draining

    async def serve(self, socket: Socket, caller: Caller) -> None:
        """Serve one connection, from its first message to its end."""
        try:
            handshake = await self._handshake(socket)
        except Disconnected:
            return
        if handshake is None:
            return
        previous = self._by_client.get((caller.identity, handshake.uid))
        reason = self._refusal(caller, previous)
        if reason is not None:
            await self._turn_away(socket, handshake.uid, caller, reason)
            return
        connection = self._admit(caller, handshake.uid, previous)
        try:
            if previous is not None:
                await previous.ended.wait()
            if connection.replaced:
                socket.abort()
            elif self._draining:
                await socket.close(*CLOSE_CODES[SessionEnd.DRAIN])
            else:
                await self._run(socket, handshake, connection)
        finally:
            self._remove(connection)

    async def drain(self) -> None:
        """Admit no more clients, flush every stream, and return when all have ended."""
        self._draining = True
        for connection in self._connections.values():
            if connection.session is not None:
                connection.session.stop(SessionEnd.DRAIN)
        await self._empty.wait()

    def count_refusal(self, reason: str) -> None:
        """Count a connection that is not served."""
        self._metrics.refused.labels(reason).inc()

    def health(self, *, details: bool = True) -> dict[str, Any]:
        """The body of /health: the status, and with `details` numbers; nothing that a client said or sent."""
        status: dict[str, Any] = {"status": "draining" if self._draining else "healthy"}
        if not details:
            return status
        if self._recording is not None:
            status["publishing"] = self._recording.health()
        sessions = self._sessions()
        return status | {
            "version": VERSION,
            "active_connections": len(sessions),
            "max_clients": self._admission.max_clients,
            "lag_s": round(max((s.lag_s for s in sessions.values()), default=0.0), 2),
            "buffered_s": round(sum(s.buffered_s for s in sessions.values()), 2),
            "upstream": {"in_flight": self._scheduler.in_flight, "waiting": self._scheduler.waiting},
            "sessions": [
                {
                    "id": session_id,
                    "age_s": round(s.age_s, 1),
                    "audio_s": round(s.received_s, 1),
                    "buffered_s": round(s.buffered_s, 2),
                    "lag_s": round(s.lag_s, 2),
                }
                for session_id, s in sessions.items()
            ],
        }

    def render_metrics(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics with current gauges, and their media type; `accept` is the request's Accept header."""
        sessions = self._sessions()
        self._metrics.sessions_active.set(len(sessions))
        self._metrics.buffer_s.set(sum(s.buffered_s for s in sessions.values()))
        self._metrics.calls_in_flight.set(self._scheduler.in_flight)
        self._metrics.calls_waiting.set(self._scheduler.waiting)
        self._metrics.draining.set(self._draining)
        return self._metrics.render(accept)

    def _sessions(self) -> dict[str, Session]:
        return {each.id: each.session for each in self._connections.values() if each.session is not None}

    async def _handshake(self, socket: Socket) -> Handshake | None:
        """Read the handshake; None if it was refused, and the client has got the reason."""
        try:
            async with asyncio.timeout(self._admission.handshake_timeout_s):
                handshake = parse_handshake(await socket.receive())
            return handshake if handshake.uid else handshake.model_copy(update={"uid": str(uuid.uuid4())})
        except TimeoutError:
            await self._refuse(socket, "handshake_timeout", "No handshake was received in time.")
        except BadHandshake as bad:
            await self._refuse(socket, "bad_handshake", str(bad), uid=bad.uid)
        return None

    async def _refuse(self, socket: Socket, reason: str, text: str, *, uid: str = "") -> None:
        self.count_refusal(reason)
        with contextlib.suppress(Disconnected):
            await socket.send(Error(uid=uid, message=text).to_json())
        await socket.close(1008, reason)

    def _refusal(self, caller: Caller, previous: OpenStream | None) -> Refusal | Literal["draining"] | None:
        """Why a client with a valid handshake is not admitted; a client that replaces its own stream needs no place."""
        if self._draining:
            return "draining"
        streams = [each.caller for each in self._connections.values() if not each.replaced]
        return None if previous is not None else refusal(caller, streams, self._admission)

    async def _turn_away(self, socket: Socket, uid: str, caller: Caller, reason: str) -> None:
        """Send WAIT with an estimate in minutes, then wait for the client to close, but not for long."""
        self.count_refusal(reason)
        if reason == "draining" or self._held >= MAX_HELD:
            await socket.close(1013, reason)
            return
        self._held += 1
        try:
            with contextlib.suppress(Disconnected, TimeoutError):
                await socket.send(Wait(uid=uid, message=self._wait_minutes(caller, reason)).to_json())
                async with asyncio.timeout(WAIT_HOLD_S):
                    while True:
                        await socket.receive()
        finally:
            self._held -= 1
        await socket.close(1013, reason)

    def _wait_minutes(self, caller: Caller, reason: str) -> float:
        """The longest wait for a place, in minutes."""
        in_the_way = [
            each.session
            for each in self._connections.values()
            if each.session is not None
            and (reason != "key_limit" or each.caller.key == caller.key)
            and (reason != "address_limit" or each.caller.address == caller.address)
        ]
        remaining_s = [self._limits.max_connection_time_s - session.age_s for session in in_the_way]
        return round(max(0.1, min(remaining_s, default=60.0) / 60), 2)

    def _admit(self, caller: Caller, uid: str, previous: OpenStream | None) -> OpenStream:
        """Give the client a place: a free one, or that of its own previous connection."""
        connection = OpenStream(uuid.uuid4().hex[:12], caller, uid)
        if previous is not None:
            previous.replaced = True
            if previous.session is not None:
                previous.session.stop(SessionEnd.REPLACED)
        self._connections[connection.id] = connection
        self._by_client[caller.identity, uid] = connection
        self._empty.clear()
        return connection

    def _remove(self, connection: OpenStream) -> None:
        del self._connections[connection.id]
        if not self._connections:
            self._empty.set()
        client = (connection.caller.identity, connection.uid)
        if self._by_client.get(client) is connection:
            del self._by_client[client]
        connection.ended.set()

    async def _run(self, socket: Socket, handshake: Handshake, connection: OpenStream) -> None:
        """Serve the session as one span; without a trace of the caller it begins one, which the workers log, too."""
        trace = connection.caller.trace
        span = self._tracer.start("stt.session", parent=trace, kind="server", attributes={"stt.session": connection.id})
        if span.context is None:
            span = self._tracer.start("stt.session", parent=new_context(), kind="server")
        error: str | None = None
        with serving(span.context):
            try:
                ending = await self._run_session(socket, handshake, connection, span)
                error = ending.value if ending is SessionEnd.FAILED else None
            except BaseException as failure:
                error = type(failure).__name__
                raise
            finally:
                span.end(error=error)

    async def _run_session(
        self, socket: Socket, handshake: Handshake, connection: OpenStream, span: Span
    ) -> SessionEnd:
        """Serve the session; returns why it ended."""
        session = Session(
            socket,
            handshake,
            policy=self._policy,
            limits=self._limits,
            remote=self._remote,
            scheduler=self._scheduler,
            metrics=self._metrics,
            session_id=connection.id,
            recorder=None if self._recording is None else self._recording.recorder(connection.id, handshake),
            span=span,
        )
        connection.session = session
        fields: dict[str, Any] = {"session": connection.id}
        if connection.caller.key_name:
            fields["key_name"] = connection.caller.key_name
        log.info("session started", extra={"fields": {**fields, "clients": len(self._connections)}})
        ending = SessionEnd.LEFT
        try:
            ending = await session.run()
            return ending
        finally:
            self._metrics.sessions.labels(ending.value).inc()
            # Without a code of ours the client closed, or the connection was dropped.
            close_code = CLOSE_CODES[ending][0] if ending in CLOSE_CODES else None
            fields |= {"ending": ending.value, "close_code": close_code, **session.figures()}
            log.info("session ended", extra={"fields": fields})
            span.describe({f"stt.{name}": value for name, value in fields.items() if value is not None})
