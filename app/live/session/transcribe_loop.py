"""The task of a session that sends windows to the service, one at a time, and handles each outcome.

A refusal never loses audio: it stays in the stream, and the next window, cut when its turn comes, is
newer and larger. Retry-After is respected, plus a random part, so that streams refused together do
not return together.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import replace

from app.live.metrics import GatewayMetrics
from app.live.policy.stream import Stream
from app.live.policy.windows import LiveWindow, Update
from app.live.remote import Busy, Rejected, RemoteError, RemoteOptions, RemoteTranscriber, TimedOut
from app.live.scheduler import Scheduler, Urgency
from app.live.session.outbox import Outbox
from app.live.session.warnings import SessionWarnings
from app.ops import trace_context

log = logging.getLogger(__name__)

JITTER = 0.25  # only ever added: a client must not come back before Retry-After
FAILURE_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
SETUP_DELAYS_S = (5.0, 10.0, 20.0, 40.0)
REJECTIONS_BEFORE_SKIP = 2  # the second time the same audio was sent with more after it
LATE_AFTER_S = 10.0  # the client is warned of a longer lag
MIN_SLEEP_S = 0.02


class TranscribeLoop:
    """Transcribes one stream."""

    def __init__(
        self,
        stream: Stream,
        options: RemoteOptions,
        *,
        remote: RemoteTranscriber,
        scheduler: Scheduler,
        outbox: Outbox,
        warnings: SessionWarnings,
        metrics: GatewayMetrics,
    ) -> None:
        self._stream = stream
        self._options = options
        self._remote = remote
        self._scheduler = scheduler
        self._outbox = outbox
        self._warnings = warnings
        self._metrics = metrics
        self._failures = 0
        self._rejections = 0
        self.first_speech_s: float | None = None  # when the first speech arrived of which there is text
        self.changed = asyncio.Event()  # set by other tasks: audio arrived, or the stream ended
        self.progress = asyncio.Event()  # set here: a window was transcribed or skipped

    async def run(self) -> None:
        """Send windows until nothing is left of the stream. Cancelling drops the request in flight."""
        while not self._stream.done:
            self.changed.clear()
            now_s = _now()
            settled = self._stream.settle(now_s)
            if settled is not None:
                self._outbox.update(settled)
            elif self._stream.due(now_s):
                async with self._scheduler.turn(self._urgency):
                    self._metrics.turn_wait_s.observe(_now() - now_s)
                    window = self._stream.next_window(_now())
                    if window is not None:
                        await self._transcribe(window)
            else:
                await self._sleep(now_s)

    @property
    def lag_s(self) -> float:
        """Age of the oldest speech that is not final."""
        since_s = self._stream.waiting_since_s()
        return 0.0 if since_s is None else _now() - since_s

    def _urgency(self) -> Urgency:
        since_s = self._stream.waiting_since_s()
        return not self._stream.finished, _now() if since_s is None else since_s

    async def _sleep(self, now_s: float) -> None:
        """Until audio arrives, or the time at which the stream wants to be checked again."""
        wake_s = self._stream.wake_at_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if wake_s is None else max(MIN_SLEEP_S, wake_s - now_s)):
                await self.changed.wait()

    async def _transcribe(self, window: LiveWindow) -> None:
        self._warnings.stats["calls"] += 1
        self._metrics.sent_s.inc(window.duration_s)
        self._metrics.lag_s.observe(self.lag_s)
        try:
            hypothesis = await self._remote.transcribe(window, self._options)
        except Busy as busy:
            self._scheduler.refused()
            self._warnings.stats["busy"] += 1
            self._retry_later(window, busy.retry_after_s)
            self._warn_if_late("The transcription service is busy")
        except Rejected as rejected:
            self._rejected(window, rejected)
        except RemoteError as failure:
            self._failed(window, failure, FAILURE_DELAYS_S)
        else:
            self._scheduler.answered()
            self._failures = self._rejections = 0
            since_s = self._stream.waiting_since_s()
            update = self._stream.apply(window, hypothesis, _now())
            if self.first_speech_s is None and (update.completed or update.partial is not None):
                self.first_speech_s = since_s
            self._send(update)
            self.progress.set()

    def _send(self, update: Update) -> None:
        self._outbox.update(update)
        if update.commit_latency_s:
            self._metrics.commits.labels(update.rule).inc(len(update.commit_latency_s))
        trace = trace_context.current()
        exemplar = None if trace is None else {"trace_id": trace.trace_id}
        for seconds in update.commit_latency_s:
            self._metrics.commit_latency_s.observe(seconds, exemplar)

    def _retry_later(self, window: LiveWindow, delay_s: float, *, timed_out: bool = False) -> None:
        jitter = 1.0 + JITTER * random.random()  # noqa: S311  spreads load, protects nothing
        self._stream.refused(window, _now() + delay_s * jitter, timed_out=timed_out)

    def _warn_if_late(self, reason: str) -> None:
        if (lag_s := self.lag_s) > LATE_AFTER_S:
            self._warnings.warn("late", f"{reason}: text is {lag_s:.0f} s late. No audio is lost.")

    def _failed(self, window: LiveWindow, failure: RemoteError, delays_s: tuple[float, ...]) -> None:
        delay_s = delays_s[min(self._failures, len(delays_s) - 1)]
        self._failures += 1
        self._warnings.stats["failed"] += 1
        fields = {"session": self._options.request_id, "window": window.number, "error": str(failure)}
        log.warning("request failed", extra={"fields": fields})
        if self._failures > 1:
            self._warnings.warn("failed", f"Text is delayed: {failure}. Audio is kept.")
        self._retry_later(window, delay_s, timed_out=isinstance(failure, TimedOut))
        self._warn_if_late("The last request failed")

    def _rejected(self, window: LiveWindow, rejected: Rejected) -> None:
        if rejected.kind == "setup":
            self._warnings.warn("setup", f"Text is delayed: {rejected}. Audio is kept.")
            self._failed(window, rejected, SETUP_DELAYS_S)
            return
        if rejected.kind == "language" and window.language is not None:
            self._warnings.warn(
                "language", f"The language {window.language[:32]!r} is not known; it is detected instead."
            )
            self._stream.forget_language()
            self._stream.refused(window, _now())
            return
        if rejected.kind == "translation":
            self._warnings.warn("translation", "Translation is not available here; the transcript is not translated.")
            self._options = replace(self._options, task="transcribe")
            self._stream.refused(window, _now())
            return
        self._rejections += 1
        if self._rejections < REJECTIONS_BEFORE_SKIP:
            self._failed(window, rejected, FAILURE_DELAYS_S)
            return
        self._rejections = 0
        update, lost_s = self._stream.skip(window)
        self._outbox.update(update)
        self._warnings.lost(lost_s, "rejected")
        self.progress.set()


def _now() -> float:
    return asyncio.get_running_loop().time()
