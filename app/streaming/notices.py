"""What the person behind a client is told besides text, and the accounts of the stream.

Every lost second is told each time; everything else about one topic at most every half minute.
"""

from __future__ import annotations

import asyncio
import logging

from app.contracts import whisperlive as wire
from app.streaming.connection import Ending
from app.streaming.dead import DeadRun
from app.streaming.metrics import Metrics
from app.streaming.outbox import Outbox
from app.streaming.policy import SAMPLE_RATE

log = logging.getLogger(__name__)

WARN_EVERY_S = 30.0


class Notices:
    """Warnings and accounts of one session."""

    def __init__(self, hello: wire.Hello, outbox: Outbox, metrics: Metrics, session_id: str) -> None:
        self._hello = hello
        self._outbox = outbox
        self._metrics = metrics
        self._id = session_id
        self._warned: dict[str, float] = {}
        self.stats = dict.fromkeys(("audio_s", "dropped_s", "calls", "busy", "failed"), 0.0)
        self._left_s = 0.0  # not heard because the gateway stopped

    @property
    def unheard_s(self) -> float:
        """Seconds of audio that nobody heard, whether they count as lost or not."""
        return self.stats["dropped_s"] + self._left_s

    def ready(self) -> None:
        """The client may send; and it hears what of its wishes cannot be had."""
        uid = self._hello.uid
        if self._hello.is_vexa:
            self._outbox.notice(wire.VexaReady(uid=uid))
        self._outbox.notice(wire.Ready(uid=uid))
        wishes = {
            "translated text": self._hello.enable_translation,
            "speaker labels": self._hello.enable_diarization,
        }
        missing = [name for name, wanted in wishes.items() if wanted]
        if missing:
            self.warn("options", f"Not available here: {' and '.join(missing)}. The transcript comes without.")

    def warn(self, topic: str, text: str) -> None:
        """Tell the client, unless it has just been told about this topic."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._warned.get(topic, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned[topic] = now_s
            self._outbox.notice(wire.Warn(uid=self._hello.uid, message=text))

    def dead(self, run: DeadRun, seconds: float) -> None:
        """Audio came that no microphone makes."""
        self._metrics.dead_s.labels(run.kind).inc(seconds)
        if run.report:
            self.warn("dead", dead_message(run))

    def lost(self, seconds: float, reason: str) -> None:
        """Audio will not be transcribed."""
        if seconds <= 0:
            return
        self.stats["dropped_s"] += seconds
        self._metrics.dropped_s.labels(reason).inc(seconds)
        log.warning("audio lost", extra={"session": self._id, "seconds": round(seconds, 2), "reason": reason})
        text = f"{seconds:.1f} s of audio were lost ({reason}). Times of what follows stay true."
        self._outbox.notice(wire.Warn(uid=self._hello.uid, message=text))

    def unheard(self, seconds: float, reason: str, ending: Ending) -> None:
        """Audio nobody heard when the session ended.

        At a restart it is not lost: a client that connects again sends it once more.
        """
        if ending is Ending.DRAIN:
            self._left_s += seconds
            self._metrics.left_at_drain_s.inc(seconds)
        else:
            self.lost(seconds, reason)

    def failed(self) -> None:
        """A bug on our side ends the session."""
        self._outbox.notice(wire.Error(uid=self._hello.uid, message="Internal error; please connect again."))

    def closing(self, *, disconnect: bool) -> None:
        """The accounts, if the client asked for them, and the word to leave."""
        if self._hello.stats:
            self._outbox.notice(wire.Stats(uid=self._hello.uid, stats=self.stats))
        if disconnect:
            self._outbox.notice(wire.Disconnect(uid=self._hello.uid))


def dead_message(run: DeadRun) -> str:
    """What the person should check."""
    what = {
        "zeros": "nothing but zeros",
        "constant": "one constant value",
        "repeated": "the same frame again and again",
    }
    seconds = (run.end - run.start) / SAMPLE_RATE
    return (
        f"The audio has been {what[run.kind]} for {seconds:.0f} s: no microphone sends that. "
        "It is not transcribed; please check what feeds this stream."
    )
