"""Turns what happens in one session into entries and live frames, at the moment that it happens. Pure.

The session calls it from its own tasks, before anything is sent to the client, so text is stored however slowly
the client reads. Nothing here waits: the sink takes what it gets and returns at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.contracts.collector import SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM
from app.core.pcm import SAMPLE_RATE_HZ
from app.live.policy.segment_times import placed_ms
from app.live.policy.segmenting import Segment
from app.live.policy.windows import Update
from app.live.publish.clock import SessionClock
from app.live.publish.dialects import DIALECTS, Dialect, adapted, bundle_frame
from app.live.publish.payloads import (
    Draft,
    Final,
    Identity,
    LiveFrame,
    StreamEntry,
    draft_frame,
    session_end,
    session_start,
    stream_entry,
    transcription,
)
from app.live.publish.speaker_events import UnusableEvent, control_event, speaker_entry

MAX_EVENTS_AT_ONCE = 200  # of one client; a flood of them must not push other clients' text out of the queue
MAX_EVENTS_PER_S = 5


class Sink(Protocol):
    """Takes what is to be published."""

    def put(self, entry: StreamEntry, frame: LiveFrame | None = None) -> None:
        """An entry that must not be lost, and a frame that goes out with it."""

    def show(self, connection_id: str, frames: tuple[LiveFrame, ...]) -> None:
        """The newest drafts of a session, in the place of those not sent yet."""

    def refuse(self, reason: str) -> None:
        """Count something that is not published."""

    def closed(self, connection_id: str) -> None:
        """Nothing of this session follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where and how entries are written."""

    segments_stream: str = SEGMENTS_STREAM
    speaker_stream: str = SPEAKER_EVENTS_STREAM
    dialect: Dialect = DIALECTS["plain"]


class SessionRecorder:
    """Records one session."""

    def __init__(
        self,
        identity: Identity,
        *,
        target: Target,
        sink: Sink,
        language: str | None,
        now_ms: Callable[[], int],
    ) -> None:
        """`language` is the one that the client asked for; `now_ms` is Unix time that never runs backwards."""
        self._identity = adapted(identity, target.dialect)
        self._target = target
        self._sink = sink
        self._language = language
        self._now_ms = now_ms
        self._began_ms = now_ms()
        self._clock: SessionClock | None = None
        self._n_samples = 0
        self._n_finals = 0
        self._end_ms = 0  # of the last final, since the first sample
        self._said_to_ms = 0  # the same as Unix time
        self._shown: tuple[tuple[Draft, ...], int] = ((), 0)
        self._n_events = 0
        self._event: str | None = None

    def audio(self, n_samples: int) -> None:
        """The next samples have arrived; the first ones are the session's second 0."""
        if n_samples <= 0:
            return
        now_ms = self._now_ms()
        if self._clock is None:
            self._clock = SessionClock(now_ms)
            self._put(session_start(self._identity, start_ms=now_ms))
        self._clock.arrived(self._n_samples * 1000 // SAMPLE_RATE_HZ, now_ms)
        self._n_samples += n_samples

    def update(self, update: Update) -> None:
        """The transcript has changed: new finals are stored, drafts are shown."""
        if self._clock is None:
            return
        if update.completed:
            finals = tuple(self._final(segment, self._clock) for segment in update.completed)
            self._clock.forget_before(self._end_ms)
            payload = transcription(self._identity, finals, unix_times=self._target.dialect.unix_times)
            self._put(payload, self._bundle(finals, ()))
        drafts = () if update.partial is None else (self._draft(update.partial),)
        shown = (drafts, self._n_finals if drafts else 0)
        if shown != self._shown:
            self._shown = shown
            bundle = self._bundle((), drafts)
            frame = draft_frame(self._identity.connection_id, drafts, after=self._n_finals)
            self._sink.show(self._identity.connection_id, (frame,) if bundle is None else (frame, bundle))

    def control(self, kind: str, payload: Mapping[str, Any]) -> None:
        """A control message of the client: who speaks, or what becomes of the meeting."""
        if kind not in {"speaker_activity", "session_control"}:
            return
        self._n_events += 1
        now_ms = self._now_ms()
        if self._n_events > MAX_EVENTS_AT_ONCE + MAX_EVENTS_PER_S * (now_ms - self._began_ms) / 1000:
            self._sink.refuse("too_many_events")
            return
        try:
            if kind == "session_control":
                self._event = control_event(payload)
            else:
                stream = self._target.speaker_stream
                self._sink.put(speaker_entry(payload, self._identity, received_ms=now_ms, stream=stream))
        except UnusableEvent:
            self._sink.refuse("unusable_event")

    def end(self, ending: str, *, unheard_s: float) -> None:
        """The session is over and no final will follow; without any audio nothing was published of it."""
        if self._clock is not None:
            self._end(self._clock, ending, unheard_s)
        self._sink.closed(self._identity.connection_id)

    def _end(self, clock: SessionClock, ending: str, unheard_s: float) -> None:
        self.update(Update())
        payload = session_end(
            self._identity,
            end_ms=max(self._now_ms(), self._said_to_ms, clock.start_ms),
            final_count=self._n_finals,
            audio_s=self._n_samples / SAMPLE_RATE_HZ,
            unheard_s=unheard_s,
            ending=ending,
            event=self._event,
        )
        if self._target.dialect.session_end:
            self._put(payload)

    def _put(self, payload: Mapping[str, Any], frame: LiveFrame | None = None) -> None:
        self._sink.put(stream_entry(payload, stream=self._target.segments_stream), frame)

    def _final(self, segment: Segment, clock: SessionClock) -> Final:
        """The next final. Of audio that arrived all at once, segments follow each other in the order of the audio."""
        start_ms, end_ms = placed_ms(segment.start, segment.end, after_ms=self._end_ms)
        said_from_ms = max(clock.at(start_ms), self._said_to_ms)
        said_to_ms = max(clock.at(end_ms), said_from_ms + end_ms - start_ms)
        self._language = segment.language or self._language
        final = Final(self._n_finals, start_ms, end_ms, said_from_ms, said_to_ms, segment.text, self._language)
        self._n_finals += 1
        self._end_ms, self._said_to_ms = end_ms, said_to_ms
        return final

    def _draft(self, segment: Segment) -> Draft:
        start_ms, end_ms = placed_ms(segment.start, segment.end, after_ms=self._end_ms)
        return Draft(start_ms, end_ms, segment.text, segment.language or self._language)

    def _bundle(self, confirmed: tuple[Final, ...], pending: tuple[Draft, ...]) -> LiveFrame | None:
        dialect = self._target.dialect
        if not dialect.bundles or self._clock is None:
            return None
        return bundle_frame(
            self._identity,
            confirmed,
            pending,
            start_ms=self._clock.start_ms,
            now_ms=self._now_ms(),
            unix=dialect.unix_times,
        )
