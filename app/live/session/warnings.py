"""What the person behind a client is told besides text, and the accounts of the stream.

Every lost second is told each time; everything else about one topic at most every half minute.
"""

from __future__ import annotations

import asyncio
import logging

from app.contracts import whisperlive as wire
from app.core.pcm import SAMPLE_RATE_HZ
from app.live.metrics import GatewayMetrics
from app.live.policy.dead_audio import DeadAudioRun
from app.live.session.connection import SessionEnd
from app.live.session.outbox import Outbox

log = logging.getLogger(__name__)

WARN_EVERY_S = 30.0


class SessionWarnings:
    """Warnings and accounts of one session."""

    def __init__(self, handshake: wire.Handshake, outbox: Outbox, metrics: GatewayMetrics, session_id: str) -> None:
        self._handshake = handshake
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
        uid = self._handshake.uid
        if self._handshake.is_vexa:
            self._outbox.notice(wire.VexaReady(uid=uid))
        self._outbox.notice(wire.Ready(uid=uid))
        wishes = {
            "translated text": self._handshake.enable_translation,
            "speaker labels": self._handshake.enable_diarization,
        }
        missing = [name for name, wanted in wishes.items() if wanted]
        if missing:
            self.warn("options", f"Not available here: {' and '.join(missing)}. The transcript comes without.")

    def warn(self, topic: str, text: str) -> None:
        """Tell the client, unless it has just been told about this topic."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._warned.get(topic, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned[topic] = now_s
            self._outbox.notice(wire.Warn(uid=self._handshake.uid, message=text))

    def dead(self, run: DeadAudioRun, seconds: float) -> None:
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
        log.warning(
            "audio lost", extra={"fields": {"session": self._id, "seconds": round(seconds, 2), "reason": reason}}
        )
        text = f"{seconds:.1f} s of audio were lost ({reason}). Times of what follows stay true."
        self._outbox.notice(wire.Warn(uid=self._handshake.uid, message=text))

    def unheard(self, seconds: float, reason: str, ending: SessionEnd) -> None:
        """Audio nobody heard when the session ended.

        At a restart it is not lost: a client that connects again sends it once more.
        """
        if ending is SessionEnd.DRAIN:
            self._left_s += seconds
            self._metrics.left_at_drain_s.inc(seconds)
        else:
            self.lost(seconds, reason)

    def failed(self) -> None:
        """A bug on our side ends the session."""
        self._outbox.notice(wire.Error(uid=self._handshake.uid, message="Internal error; please connect again."))

    def closing(self, *, disconnect: bool) -> None:
        """The accounts, if the client asked for them, and the word to leave."""
        if self._handshake.stats:
            self._outbox.notice(wire.Stats(uid=self._handshake.uid, stats=self.stats))
        if disconnect:
            self._outbox.notice(wire.Disconnect(uid=self._handshake.uid))


def dead_message(run: DeadAudioRun) -> str:
    """What the person should check."""
    what = {
        "zeros": "nothing but zeros",
        "constant": "one constant value",
        "repeated": "the same frame again and again",
    }
    seconds = (run.end - run.start) / SAMPLE_RATE_HZ
    return (
        f"The audio has been {what[run.kind]} for {seconds:.0f} s: no microphone sends that. "
        "It is not transcribed; please check what feeds this stream."
    )
