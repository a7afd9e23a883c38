"""The messages to a client besides the transcript, and the statistics of its stream.

Audio loss is always reported; other warnings at most every 30 seconds.
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
    """Warnings and statistics of one session."""

    def __init__(self, handshake: wire.Handshake, outbox: Outbox, metrics: GatewayMetrics, session_id: str) -> None:
        self._handshake = handshake
        self._outbox = outbox
        self._metrics = metrics
        self._id = session_id
        self._warned_at_s: dict[str, float] = {}
        self.stats = dict.fromkeys(("audio_s", "dropped_s", "calls", "busy", "failed"), 0.0)
        self._left_at_drain_s = 0.0

    @property
    def untranscribed_s(self) -> float:
        """Seconds of audio that were not transcribed, for whatever reason."""
        return self.stats["dropped_s"] + self._left_at_drain_s

    def ready(self) -> None:
        """The client may send audio. Warn it of options that are not available."""
        uid = self._handshake.uid
        if self._handshake.is_vexa:
            self._outbox.put(wire.VexaReady(uid=uid))
        self._outbox.put(wire.Ready(uid=uid))
        requested = {
            "translated text": self._handshake.enable_translation,
            "speaker labels": self._handshake.enable_diarization,
        }
        missing = [name for name, wanted in requested.items() if wanted]
        if missing:
            self.warn("options", f"Not available here: {' and '.join(missing)}. They are left out.")

    def warn(self, topic: str, text: str) -> None:
        """Warn the client, unless it has been warned about this topic recently."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._warned_at_s.get(topic, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned_at_s[topic] = now_s
            self._outbox.put(wire.Warn(uid=self._handshake.uid, message=text))

    def dead(self, run: DeadAudioRun, seconds: float) -> None:
        """Count audio that no microphone produces; warn once per run."""
        self._metrics.dead_s.labels(run.kind).inc(seconds)
        if run.report:
            self.warn("dead", dead_message(run))

    def lost(self, seconds: float, reason: str) -> None:
        """Report audio that will not be transcribed."""
        if seconds <= 0:
            return
        self.stats["dropped_s"] += seconds
        self._metrics.dropped_s.labels(reason).inc(seconds)
        fields = {"session": self._id, "seconds": round(seconds, 2), "reason": reason}
        log.warning("audio lost", extra={"fields": fields})
        text = f"{seconds:.1f} s of audio were lost ({reason}). Later times remain correct."
        self._outbox.put(wire.Warn(uid=self._handshake.uid, message=text))

    def untranscribed(self, seconds: float, reason: str, ending: SessionEnd) -> None:
        """Count audio that was not transcribed when the session ended.

        At a shutdown it is not lost: a client that connects again sends it again.
        """
        if ending is SessionEnd.DRAIN:
            self._left_at_drain_s += seconds
            self._metrics.left_at_drain_s.inc(seconds)
        else:
            self.lost(seconds, reason)

    def failed(self) -> None:
        """An error in the gateway ends the session."""
        self._outbox.put(wire.Error(uid=self._handshake.uid, message="Internal error; please connect again."))

    def closing(self, *, disconnect: bool) -> None:
        """Send the statistics, if the client requested them, and DISCONNECT if the client is to close."""
        if self._handshake.stats:
            self._outbox.put(wire.Stats(uid=self._handshake.uid, stats=self.stats))
        if disconnect:
            self._outbox.put(wire.Disconnect(uid=self._handshake.uid))


def dead_message(run: DeadAudioRun) -> str:
    """What is wrong with the audio, and what to check."""
    kinds = {
        "zeros": "nothing but zeros",
        "constant": "one constant value",
        "repeated": "the same frame repeated",
    }
    seconds = (run.end - run.start) / SAMPLE_RATE_HZ
    return (
        f"The audio has been {kinds[run.kind]} for {seconds:.0f} s, which no microphone sends. "
        "It is not transcribed; please check the source of this stream."
    )
