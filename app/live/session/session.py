"""One session, from READY to the close: a reader, a transcribe loop and a writer around a Stream.

The reader feeds frames, and slows its client down when memory is full. The transcribe loop keeps at
most one request at the service. The writer sends as fast as the client reads. None waits for another:
a service that refuses only delays text, and a client that stops reading is dropped. If the ending
allows it, the last words are flushed first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from app.contracts.whisperlive import Handshake
from app.live.metrics import GatewayMetrics
from app.live.policy.stream import Stream
from app.live.policy.stream_policy import StreamPolicy
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer
from app.live.remote import RemoteOptions, RemoteTranscriber
from app.live.scheduler import Scheduler
from app.live.session.connection import (
    CLOSE_CODES,
    Disconnected,
    SessionEnd,
    SessionLimits,
    ShutdownAwareWait,
    Socket,
)
from app.live.session.outbox import Outbox
from app.live.session.reader import Reader
from app.live.session.recorder import NotRecorded, Recorder
from app.live.session.transcribe_loop import TranscribeLoop
from app.live.session.warnings import SessionWarnings
from app.ops.tracing import NO_SPAN, Span

log = logging.getLogger(__name__)

MAX_PROMPT_CHARS = 1000  # of prompt and hotwords each; models use no more, and a service may refuse longer ones
LATE_END_OF_AUDIO_S = 4.0  # only the stock RTSP client sends it this long after its audio
MIN_SLEEP_S = 0.02


class Session:
    """Serves one client whose handshake was accepted."""

    def __init__(
        self,
        socket: Socket,
        handshake: Handshake,
        *,
        policy: StreamPolicy,
        limits: SessionLimits,
        remote: RemoteTranscriber,
        scheduler: Scheduler,
        metrics: GatewayMetrics,
        session_id: str,
        recorder: Recorder | None = None,
        span: Span = NO_SPAN,
    ) -> None:
        self._recorder = recorder or NotRecorded()
        self._socket = socket
        self._limits = limits
        self._id = session_id
        self._metrics = metrics
        self._text_sent = False
        parts = (handshake.initial_prompt, handshake.hotwords)
        initial_prompt = " ".join(part[-MAX_PROMPT_CHARS:] for part in parts if part)
        self._stream = Stream(policy, language=handshake.language, initial_prompt=initial_prompt)
        renderer = WhisperLiveRenderer(
            handshake.uid, last_n=handshake.send_last_n_segments, with_words=handshake.word_timestamps
        )
        self._outbox = Outbox(renderer, self._recorder)
        self._warnings = SessionWarnings(handshake, self._outbox, metrics, session_id)
        options = RemoteOptions(
            task=handshake.task,
            tier=handshake.transcription_tier,
            no_speech_thresh=handshake.no_speech_thresh,
            request_id=session_id,
            span=span,
        )
        self._transcribe_loop = TranscribeLoop(
            self._stream,
            options,
            remote=remote,
            scheduler=scheduler,
            outbox=self._outbox,
            warnings=self._warnings,
            metrics=metrics,
        )
        self._ending: asyncio.Future[SessionEnd] = asyncio.get_running_loop().create_future()
        self._wait = ShutdownAwareWait()
        self._second_end = asyncio.Event()
        self._started_s = _now()
        self._reader = Reader(
            socket,
            self._stream,
            self._transcribe_loop,
            audio_format=handshake.audio_format,
            limits=limits,
            outbox=self._outbox,
            warnings=self._warnings,
            recorder=self._recorder,
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
    def untranscribed_s(self) -> float:
        """Seconds of audio that were not transcribed, however the session ended."""
        return self._warnings.untranscribed_s

    @property
    def lag_s(self) -> float:
        """Age of the oldest speech that is not final."""
        return self._transcribe_loop.lag_s

    def figures(self) -> dict[str, float]:
        """What the log says of an ended session: times in seconds, completed words, requests; nothing that was said."""
        stats = self._warnings.stats
        return {
            "duration_s": round(self.age_s, 1),
            "audio_s": round(self.received_s, 1),
            "words": self._outbox.n_words,
            "calls": int(stats["calls"]),
            "refused": int(stats["busy"]),
            "lost_s": round(stats["dropped_s"], 1),
            "untranscribed_s": round(self.untranscribed_s, 1),
        }

    def stop(self, ending: SessionEnd) -> None:
        """End the session for this reason; one that is ending already ends sooner at a shutdown or if replaced."""
        if ending is SessionEnd.DRAIN:
            self._wait.shut_down(self._limits.drain_grace_s)
        if not self._ending.done():
            self._ending.set_result(ending)
        elif ending is SessionEnd.REPLACED:
            self._socket.abort()

    async def run(self) -> SessionEnd:
        """Serve until the end; returns its reason. Cancelling drops the client."""
        self._warnings.ready()
        reader = asyncio.create_task(self._guarded(self._reader.run()))
        transcribe_loop = asyncio.create_task(self._guarded(self._transcribe_loop.run()))
        writer = asyncio.create_task(self._guarded(self._write()))
        limits = asyncio.create_task(self._guarded(self._watch_limits()))
        connection = asyncio.create_task(self._watch_connection())
        tasks = (reader, transcribe_loop, writer, limits, connection)
        ending = SessionEnd.LEFT
        try:
            ending = await self._ending
            if ending.flushes:
                ending = await self._flush(reader, transcribe_loop, ending)
            else:
                await self._drop(reader, transcribe_loop, ending)
            await self._close(reader, writer, ending)
            return ending
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._count_rest(ending)
            self._recorder.end(ending.value, unheard_s=self.untranscribed_s)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task of the session: a client that left ends the session, an error ends only this session."""
        try:
            await work
        except Disconnected:
            self.stop(SessionEnd.LEFT)
        except Exception:
            log.exception("session task failed", extra={"fields": {"session": self._id}})
            self.stop(SessionEnd.FAILED)

    # The tasks.

    async def _write(self) -> None:
        """Send messages, each within its time limit."""
        while True:
            messages = await self._outbox.take()
            first_speech_s = None if self._text_sent else self._transcribe_loop.first_speech_s
            try:
                for message in messages:
                    async with asyncio.timeout(self._limits.send_timeout_s):
                        await self._socket.send(message.to_json())
            except TimeoutError:
                self.stop(SessionEnd.STUCK)
                self._socket.abort()
                return
            if first_speech_s is not None:
                self._text_sent = True
                self._metrics.first_text_s.observe(_now() - first_speech_s)
            self._outbox.sent()

    async def _watch_connection(self) -> None:
        """Notice that the client closed, even while it is not read from because memory is full."""
        await self._socket.wait_closed()
        self.stop(SessionEnd.LEFT)

    async def _watch_limits(self) -> None:
        """End a session that is too old, or whose client sends no audio."""
        over_s = self._started_s + self._limits.max_connection_time_s
        while not self._ending.done():
            idle_s = self._reader.audio_at_s + self._limits.idle_timeout_s
            now_s = _now()
            if now_s >= over_s:
                self.stop(SessionEnd.OVERTIME)
            elif now_s >= idle_s:
                self.stop(SessionEnd.IDLE)
            else:
                await asyncio.sleep(max(MIN_SLEEP_S, min(over_s, idle_s) - now_s))

    # Ending.

    def _end(self) -> None:
        """END_OF_AUDIO arrived. The stock RTSP client sends it long after its audio, twice, and fails if we closed."""
        if self._ending.done() or _now() - self._reader.audio_at_s < LATE_END_OF_AUDIO_S:
            self._second_end.set()
        self.stop(SessionEnd.END_OF_AUDIO)

    async def _flush(
        self, reader: asyncio.Task[None], transcribe_loop: asyncio.Task[None], ending: SessionEnd
    ) -> SessionEnd:
        """Wait for the last words, while the time limit allows and the client stays; then send what there is.

        Returns:
            The ending; DRAIN if a shutdown left audio untranscribed, because then the client should connect again.
        """
        self._stream.finish()
        self._transcribe_loop.changed.set()
        self._transcribe_loop.progress.set()
        await self._wait.wait([transcribe_loop, reader], self._limits.flush_timeout_s)
        await _stopped(transcribe_loop)
        update, lost_s = self._stream.give_up()
        self._outbox.update(update)
        if lost_s > 0 and self._wait.shutting_down:
            ending = SessionEnd.DRAIN
        self._warnings.untranscribed(lost_s, "unfinished", ending)
        return ending

    async def _drop(self, reader: asyncio.Task[None], transcribe_loop: asyncio.Task[None], ending: SessionEnd) -> None:
        """End without waiting for the last words, and count their audio."""
        await _stopped(transcribe_loop)
        if ending not in CLOSE_CODES:
            self._socket.abort()
            if not reader.done():
                await _stopped(reader)
                await self._reader.count_rest()
        self._count_rest(ending)

    def _count_rest(self, ending: SessionEnd) -> None:
        """Count the audio that was received and not transcribed, once."""
        _, lost_s = self._stream.give_up()
        reason = "ended" if ending.flushes else ending.value
        self._warnings.untranscribed(lost_s + self._reader.take_late_s(), reason, ending)

    async def _close(self, reader: asyncio.Task[None], writer: asyncio.Task[None], ending: SessionEnd) -> None:
        """Send the last messages and close in the way that the protocol requires."""
        if ending not in CLOSE_CODES:
            return
        if ending is SessionEnd.FAILED:
            self._warnings.failed()
        self._count_late(ending)
        self._warnings.closing(disconnect=ending.disconnects)
        await self._all_sent(writer)
        if ending is SessionEnd.END_OF_AUDIO and not self._second_end.is_set():
            second = asyncio.create_task(self._second_end.wait())
            await self._wait.wait([reader, second], self._limits.disconnect_hold_s)
            second.cancel()
        if ending.disconnects:
            await self._wait.wait([reader], self._limits.disconnect_hold_s)
            self._count_late(ending)
            await self._all_sent(writer)
        await self._socket.close(*CLOSE_CODES[ending])

    async def _all_sent(self, writer: asyncio.Task[None]) -> None:
        """Wait until every message is sent, or the writer has ended."""
        empty = asyncio.create_task(self._outbox.wait_empty())
        await asyncio.wait([empty, writer], return_when=asyncio.FIRST_COMPLETED)
        empty.cancel()

    def _count_late(self, ending: SessionEnd) -> None:
        """Count the audio that arrived too late, once."""
        self._warnings.untranscribed(self._reader.take_late_s(), "ended", ending)


async def _stopped(task: asyncio.Task[None]) -> None:
    """Cancel the task and return when it has ended."""
    task.cancel()
    await asyncio.wait([task])


def _now() -> float:
    return asyncio.get_running_loop().time()
