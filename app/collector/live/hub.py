"""One pub/sub connection to Redis for a process, shared by all readers of a channel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from app.collector.clock import Clock
from app.collector.failures import describe
from app.collector.redis_io.connection import Client, RedisFailure, Subscriber

Listener = Callable[[str, str], None]  # channel and message

RETRY_FIRST_S: Final = 0.2
RETRY_MOST_S: Final = 5.0
PING_AFTER_S: Final = 4.0
LOST_AFTER_S: Final = 8.0  # of silence although a ping was sent
READ_S: Final = 1.0

log = logging.getLogger(__name__)


class Lost(Exception):
    """Messages may have been lost, or Redis answers nothing."""


class Hub:
    """Channels and who listens to them.

    Attributes:
        connected: messages arrive; else nothing is heard until `on_connected` is called.
    """

    def __init__(self, redis: Client, clock: Clock, *, on_connected: Callable[[], None]) -> None:
        """Connect at `run`.

        Args:
            redis: whose settings the connection has.
            clock: of pauses between attempts.
            on_connected: called whenever all channels are subscribed after messages may have been lost, before any
                message of the new connection is passed on.
        """
        self._redis = redis
        self._clock = clock
        self._on_connected = on_connected
        self._listeners: dict[str, list[Listener]] = {}
        self._asked = Counter[str]()  # subscriptions that Redis has not confirmed
        self._confirmed = asyncio.Condition()
        self._subscriber: Subscriber | None = None
        self._wanted = asyncio.Event()
        self._broken = False
        self._sending = asyncio.Lock()
        self.connected = False
        self._away = False

    async def follow(self, channels: Iterable[str], listener: Listener) -> None:
        """Pass messages of these channels on; return once Redis sends them, or is known to be away."""
        channels = list(channels)
        new = [each for each in channels if each not in self._listeners]
        for each in channels:
            self._listeners.setdefault(each, []).append(listener)
        self._wanted.set()
        if new and self.connected:
            await self._command(new, subscribe=True)
        async with self._confirmed:
            await self._confirmed.wait_for(
                lambda: self._away or (self.connected and not any(self._asked[each] for each in channels))
            )

    async def leave(self, channels: Iterable[str], listener: Listener) -> None:
        """Pass no more messages on."""
        unused = []
        for each in channels:
            listeners = self._listeners.get(each, [])
            if listener in listeners:
                listeners.remove(listener)
                if not listeners:
                    del self._listeners[each]
                    unused.append(each)
        if unused and self.connected:
            await self._command(unused, subscribe=False)

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                await self._listen()
            except (*RedisFailure, Lost, RuntimeError) as error:  # the last: the library's own state is confused
                if self.connected:
                    pause_s = RETRY_FIRST_S
                    log.warning("live push lost Redis", extra={"fields": {"error": type(error).__name__}})
            finally:
                self.connected = False
                self._subscriber = None
                self._asked.clear()
            async with self._confirmed:
                self._away = True
                self._confirmed.notify_all()
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MOST_S)

    async def _listen(self) -> None:
        """Subscribe to all channels, then pass messages on until the connection fails."""
        while not self._listeners:
            self._wanted.clear()
            await self._wanted.wait()
        async with contextlib.aclosing(self._redis.pubsub()) as subscriber:
            self._subscriber, self._broken = subscriber, False
            known = set(self._listeners)
            await self._command(known, subscribe=True)
            early = []
            while any(self._asked.values()):
                message = await self._next(subscriber)
                if message is not None:
                    early.append(message)
            self.connected, self._away = True, False
            added = [each for each in self._listeners if each not in known]
            if added:
                await self._command(added, subscribe=True)
            self._on_connected()
            for message in early:
                self._pass_on(message)
            async with self._confirmed:
                self._confirmed.notify_all()
            while True:
                message = await self._next(subscriber)
                if message is not None:
                    self._pass_on(message)

    async def _next(self, subscriber: Subscriber) -> dict[str, Any] | None:
        """The next message of a channel; None if something else came.

        Raises:
            Lost: nothing came for long, not even an answer to a ping, or the library has connected anew by itself.
        """
        heard_s, asked = self._clock.monotonic(), False
        while (message := await subscriber.get_message(timeout=READ_S)) is None:
            silent_s = self._clock.monotonic() - heard_s
            if self._broken or silent_s >= LOST_AFTER_S:
                raise Lost
            if silent_s >= PING_AFTER_S and not asked:
                asked = True
                await subscriber.ping()
        if message["type"] == "subscribe":
            if not self._asked[message["channel"]]:
                raise Lost
            async with self._confirmed:
                self._asked[message["channel"]] -= 1
                self._confirmed.notify_all()
        return message if message["type"] == "message" else None

    def _pass_on(self, message: dict[str, Any]) -> None:
        for listener in tuple(self._listeners.get(message["channel"], ())):
            try:
                listener(message["channel"], message["data"])
            except Exception as error:  # noqa: BLE001 - one message must not end the live push of every reader
                log.error("a live message cannot be read", extra={"fields": describe(error)})  # noqa: TRY400 - no message

    async def _command(self, channels: Iterable[str], *, subscribe: bool) -> None:
        """Send a command; a failure is noticed by whoever reads."""
        subscriber = self._subscriber
        if subscriber is None:
            return
        if subscribe:
            self._asked.update(channels)
        async with self._sending:
            try:
                await (subscriber.subscribe(*channels) if subscribe else subscriber.unsubscribe(*channels))
            except RedisFailure:
                self._broken = True
