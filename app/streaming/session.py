"""One connection from READY to farewell: a reader, an asker and a writer around a Stream.

The reader feeds frames and slows its client down when memory is full; the asker keeps one call at
the service; the writer sends what the socket can take. None waits for another: a refusing service
delays text and nothing else, a client that stops reading is cut off, and whatever ends the stream,
its last words are flushed first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from app.contracts.whisperlive import Hello
from app.streaming.asker import Asker
from app.streaming.captions import Captions
from app.streaming.connection import CLOSE, Ending, Gone, Limits, Socket
from app.streaming.metrics import Metrics
from app.streaming.notices import Notices
from app.streaming.outbox import Outbox
from app.streaming.patience import Patience
from app.streaming.policy import Policy
from app.streaming.reader import Reader
from app.streaming.remote import Call, RemoteTranscriber
from app.streaming.scheduler import Scheduler
from app.streaming.stream import Stream

log = logging.getLogger(__name__)

PREFACE_CHARS = 1000  # of each wish; models hear no more of it, and a service may refuse a longer one for ever
LATE_MARKER_S = 4.0
LEAST_SLEEP_S = 0.02


class Session:
    """Serves one client that has said hello."""

    def __init__(
        self,
        socket: Socket,
        hello: Hello,
        *,
        policy: Policy,
        limits: Limits,
        remote: RemoteTranscriber,
        scheduler: Scheduler,
        metrics: Metrics,
        session_id: str,
    ) -> None:
        self._socket = socket
        self._limits = limits
        self._id = session_id
        wishes = (hello.initial_prompt, hello.hotwords)
        preface = " ".join(part[-PREFACE_CHARS:] for part in wishes if part)
        self._stream = Stream(policy, language=hello.language, preface=preface)
        captions = Captions(hello.uid, last_n=hello.send_last_n_segments, with_words=hello.word_timestamps)
        self._outbox = Outbox(captions)
        self._notices = Notices(hello, self._outbox, metrics, session_id)
        call = Call(
            task=hello.task,
            tier=hello.transcription_tier,
            no_speech_thresh=hello.no_speech_thresh,
            request_id=session_id,
        )
        self._asker = Asker(
            self._stream,
            call,
            remote=remote,
            scheduler=scheduler,
            outbox=self._outbox,
            notices=self._notices,
            metrics=metrics,
        )
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._patience = Patience()
        self._second_end = asyncio.Event()
        self._started_s = _now()
        self._reader = Reader(
            socket,
            self._stream,
            self._asker,
            audio_format=hello.audio_format,
            limits=limits,
            outbox=self._outbox,
            notices=self._notices,
            metrics=metrics,
            session_id=session_id,
            ending=self._ending,
            on_end=self._end,
        )

    @property
    def age_s(self) -> float:
        """Seconds since the session began."""
        return _now() - self._started_s

    @property
    def received_s(self) -> float:
        """Seconds of audio received."""
        return self._stream.received_s

    @property
    def buffered_s(self) -> float:
        """Seconds of audio held."""
        return self._stream.buffered_s

    @property
    def unheard_s(self) -> float:
        """Seconds of audio that nobody heard, for whatever reason, and however the session ended."""
        return self._notices.unheard_s

    @property
    def lag_s(self) -> float:
        """Age of the oldest speech that is not final."""
        return self._asker.lag_s

    def stop(self, ending: Ending) -> None:
        """End the session for this reason; one that is ending already is hurried by a stop, dropped by a successor."""
        if ending is Ending.DRAIN:
            self._patience.hurry(self._limits.drain_grace_s)
        if not self._ending.done():
            self._ending.set_result(ending)
        elif ending is Ending.REPLACED:
            self._socket.abort()

    async def run(self) -> Ending:
        """Serve until the end; returns why it came. Cancelling drops the client."""
        self._notices.ready()
        reader = asyncio.create_task(self._guarded(self._reader.run()))
        asker = asyncio.create_task(self._guarded(self._asker.run()))
        writer = asyncio.create_task(self._guarded(self._write()))
        watch = asyncio.create_task(self._guarded(self._watch()))
        leaving = asyncio.create_task(self._notice_leaving())
        tasks = (reader, asker, writer, watch, leaving)
        ending = Ending.LEFT
        try:
            ending = await self._ending
            if ending.flushes:
                ending = await self._flush(reader, asker, ending)
            else:
                await self._break_off(reader, asker, ending)
            await self._say_farewell(reader, writer, ending)
            return ending
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._account(ending)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """The top of a task: a client that is gone ends the session, a bug ends this session only."""
        try:
            await work
        except Gone:
            self.stop(Ending.LEFT)
        except Exception:
            log.exception("session task failed", extra={"session": self._id})
            self.stop(Ending.FAILED)

    # The tasks.

    async def _write(self) -> None:
        """Messages to the socket, each within its time."""
        while True:
            messages = await self._outbox.take()
            try:
                for message in messages:
                    async with asyncio.timeout(self._limits.send_timeout_s):
                        await self._socket.send(message.to_json())
            except TimeoutError:
                self.stop(Ending.STUCK)
                self._socket.abort()
                return
            self._outbox.sent()

    async def _notice_leaving(self) -> None:
        """While nobody reads, because memory is full, a client that closes is noticed all the same."""
        await self._socket.wait_closed()
        self.stop(Ending.LEFT)

    async def _watch(self) -> None:
        """End a session that is too old, or whose client sends no audio."""
        over_s = self._started_s + self._limits.max_connection_time_s
        while not self._ending.done():
            idle_s = self._reader.audio_at_s + self._limits.idle_timeout_s
            now_s = _now()
            if now_s >= over_s:
                self.stop(Ending.OVERTIME)
            elif now_s >= idle_s:
                self.stop(Ending.IDLE)
            else:
                await asyncio.sleep(max(LEAST_SLEEP_S, min(over_s, idle_s) - now_s))

    # Ending.

    def _end(self) -> None:
        """The marker came; the stock RTSP client sends it long after its audio, twice, and fails if nobody is there."""
        if self._ending.done() or _now() - self._reader.audio_at_s < LATE_MARKER_S:
            self._second_end.set()
        self.stop(Ending.END_OF_AUDIO)

    async def _flush(self, reader: asyncio.Task[None], asker: asyncio.Task[None], ending: Ending) -> Ending:
        """Wait for the last words, as long as this ending allows and the client stays; then give what there is.

        Returns:
            The ending; that of a stop where it left words unheard, for then the client should connect again.
        """
        self._stream.finish()
        self._asker.changed.set()
        self._asker.progress.set()
        await self._patience.wait([asker, reader], self._limits.flush_timeout_s)
        await _stopped(asker)
        update, lost_s = self._stream.give_up()
        self._outbox.update(update)
        if lost_s > 0 and self._patience.hurried:
            ending = Ending.DRAIN
        self._notices.unheard(lost_s, "unfinished", ending)
        return ending

    async def _break_off(self, reader: asyncio.Task[None], asker: asyncio.Task[None], ending: Ending) -> None:
        """Nobody waits for the last words: account for them."""
        await _stopped(asker)
        if ending not in CLOSE:
            self._socket.abort()
            if not reader.done():
                await _stopped(reader)
                await self._reader.count_rest()
        self._account(ending)

    def _account(self, ending: Ending) -> None:
        """Whatever was received and not heard is told, once."""
        _, lost_s = self._stream.give_up()
        reason = "ended" if ending.flushes else ending.value
        self._notices.unheard(lost_s + self._reader.take_late_s(), reason, ending)

    async def _say_farewell(self, reader: asyncio.Task[None], writer: asyncio.Task[None], ending: Ending) -> None:
        """Last messages, then the close the contract asks for."""
        if ending not in CLOSE:
            return
        if ending is Ending.FAILED:
            self._notices.failed()
        self._tell_late(ending)
        self._notices.closing(disconnect=ending.disconnects)
        await self._drained(writer)
        if ending is Ending.END_OF_AUDIO and not self._second_end.is_set():
            second = asyncio.create_task(self._second_end.wait())
            await self._patience.wait([reader, second], self._limits.disconnect_hold_s)
            second.cancel()
        if ending.disconnects:
            await self._patience.wait([reader], self._limits.disconnect_hold_s)
            self._tell_late(ending)
            await self._drained(writer)
        await self._socket.close(*CLOSE[ending])

    async def _drained(self, writer: asyncio.Task[None]) -> None:
        """Wait until everything is sent, or cannot be."""
        drained = asyncio.create_task(self._outbox.drained())
        await asyncio.wait([drained, writer], return_when=asyncio.FIRST_COMPLETED)
        drained.cancel()

    def _tell_late(self, ending: Ending) -> None:
        """Account for the audio that came too late, once."""
        self._notices.unheard(self._reader.take_late_s(), "ended", ending)


async def _stopped(task: asyncio.Task[None]) -> None:
    """Cancel the task and return when it has ended."""
    task.cancel()
    await asyncio.wait([task])


def _now() -> float:
    return asyncio.get_running_loop().time()
