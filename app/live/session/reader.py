"""The reader task of a session: frames to the stream, with limits that bound memory.

While memory is full, or the client is far ahead of real time, it is not read from, and TCP slows it
down. Audio is dropped, with a warning, only if that does not help for long. Audio that arrives after
the end of the session is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from app.contracts.whisperlive import AudioFormat
from app.core.pcm import SAMPLE_RATE_HZ
from app.live.metrics import GatewayMetrics
from app.live.policy.stream import Stream
from app.live.protocols.whisperlive.frames import Audio, Control, EndOfAudio, FrameReader
from app.live.session.connection import Disconnected, SessionEnd, SessionLimits, Socket
from app.live.session.outbox import Outbox
from app.live.session.recorder import Recorder
from app.live.session.transcribe_loop import TranscribeLoop
from app.live.session.warnings import SessionWarnings

log = logging.getLogger(__name__)

KEEP_ON_OVERFLOW = 0.8  # of the buffer
MAX_SPEED = 16.0  # times real time, sustained: enough to catch up after an outage, and bounds a flood of silence
READ_REST_S = 1.0  # to read what a client had sent before it left: a few frames that have arrived already


class Reader:
    """Reads one client."""

    def __init__(
        self,
        socket: Socket,
        stream: Stream,
        transcribe_loop: TranscribeLoop,
        *,
        audio_format: AudioFormat,
        limits: SessionLimits,
        outbox: Outbox,
        warnings: SessionWarnings,
        recorder: Recorder,
        metrics: GatewayMetrics,
        session_id: str,
        ending: asyncio.Future[SessionEnd],
        on_end: Callable[[], None],
    ) -> None:
        """`ending` is done when the session ends; `on_end` is called for each END_OF_AUDIO."""
        self._socket = socket
        self._stream = stream
        self._transcribe_loop = transcribe_loop
        self._frames = FrameReader(audio_format)
        self._limits = limits
        self._outbox = outbox
        self._warnings = warnings
        self._recorder = recorder
        self._metrics = metrics
        self._id = session_id
        self._ending = ending
        self._on_end = on_end
        self._late_s = 0.0
        self._started_s = self.audio_at_s = _now()  # the latter: when the client last sent audio

    async def run(self) -> None:
        """Feed the stream; after the session's end only count late audio, and notice when the client leaves.

        Raises:
            Disconnected: the client left.
        """
        while True:
            event = self._frames.read(await self._socket.receive())
            if isinstance(event, Audio) and self._ending.done():
                self._late_s += self._count(event)
            elif isinstance(event, Audio):
                self._feed(event)
                await self._wait_for_room()
            elif isinstance(event, EndOfAudio):
                self._on_end()
            elif isinstance(event, Control):
                fields = {"session": self._id, "kind": event.kind[:32]}
                log.debug("control message", extra={"fields": fields})
                self._recorder.control(event.kind, event.payload)
            await asyncio.sleep(self._pause_s())

    async def count_rest(self) -> None:
        """After the connection is closed: count the audio that had arrived but was not read."""
        with contextlib.suppress(Disconnected, TimeoutError):
            async with asyncio.timeout(READ_REST_S):
                while True:
                    event = self._frames.read(await self._socket.receive())
                    self._late_s += self._count(event) if isinstance(event, Audio) else 0.0

    def take_late_s(self) -> float:
        """Seconds of audio that arrived too late since the last call."""
        late_s, self._late_s = self._late_s, 0.0
        return late_s

    def _count(self, audio: Audio) -> float:
        seconds = len(audio.pcm) / SAMPLE_RATE_HZ
        self._warnings.stats["audio_s"] += seconds
        self._metrics.received_s.inc(seconds)
        return seconds

    def _feed(self, audio: Audio) -> None:
        seconds = self._count(audio)
        self.audio_at_s = _now()
        if audio.bad_samples:
            self._metrics.bad_samples.inc(audio.bad_samples)
            self._warnings.warn(
                "samples", "The audio contains samples that are not finite or far too loud; they count as silence."
            )
        if audio.misaligned:
            self._warnings.warn("frames", "An audio frame ended within a sample; its last bytes were dropped.")
        self._recorder.audio(len(audio.pcm))
        run = self._stream.feed(audio.pcm, self.audio_at_s)
        if run is not None:
            self._warnings.dead(run, seconds)
        self._transcribe_loop.changed.set()

    async def _wait_for_room(self) -> None:
        """Stop reading while memory is full, so that TCP slows the client down; drop audio if that does not help."""
        if self._stream.buffered_s <= self._limits.buffer_max_s:
            return
        self._metrics.paused_reads.inc()
        progress = self._transcribe_loop.progress
        while self._stream.buffered_s > self._limits.buffer_max_s and not self._ending.done():
            progress.clear()
            try:
                async with asyncio.timeout(self._limits.buffer_stall_s):
                    await progress.wait()
            except TimeoutError:
                update, lost_s = self._stream.drop_oldest(KEEP_ON_OVERFLOW * self._limits.buffer_max_s)
                self._outbox.update(update)
                self._warnings.lost(lost_s, "overflow")

    def _pause_s(self) -> float:
        """How long not to read: 0, which lets other tasks run, until the client is far ahead of real time.

        Silence is dropped at once and never fills the buffer, so a flood of it needs a limit of its own.
        """
        age_s = _now() - self._started_s
        return max(0.0, (self._stream.received_s - self._limits.buffer_max_s) / MAX_SPEED - age_s)


def _now() -> float:
    return asyncio.get_running_loop().time()
