"""A Redis at the publisher's seam that refuses, hangs and forgets on demand, and a sink for recorders."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.contracts.collector import PAYLOAD_FIELD
from app.live.policy.hypothesis import Word
from app.live.policy.segmenting import Segment, segment_of
from app.live.publish.link import Answer, Away
from app.live.publish.payloads import LiveFrame, StreamEntry


def seg(text: str, start: float, end: float, *, completed: bool = True, language: str | None = None) -> Segment:
    """A segment of one word."""
    return segment_of([Word(start, end, f" {text}")], completed=completed, language=language)


def entry(n: int, *, kind: Any = "transcription", connection_id: str = "c") -> StreamEntry:
    """The n-th entry."""
    payload = json.dumps({"type": kind, "n": n})
    return StreamEntry(kind, connection_id, "transcription_segments", {PAYLOAD_FIELD: payload})


def payload_of(item: StreamEntry) -> Any:
    """The JSON of an entry of the transcript stream."""
    return json.loads(item.fields[PAYLOAD_FIELD])


@dataclass
class MemorySink:
    """Keeps what a recorder hands over."""

    entries: list[StreamEntry] = field(default_factory=list)
    frames: list[LiveFrame] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def put(self, item: StreamEntry, frame: LiveFrame | None = None) -> None:
        """Keep an entry and its frame."""
        self.entries.append(item)
        self.frames += [] if frame is None else [frame]

    def show(self, connection_id: str, frames: tuple[LiveFrame, ...]) -> None:
        """Keep drafts."""
        self.frames += frames

    def refuse(self, reason: str) -> None:
        """Keep the reason."""
        self.refused.append(reason)

    def closed(self, connection_id: str) -> None:
        """Keep the id."""
        self.ended.append(connection_id)

    @property
    def payloads(self) -> list[Any]:
        """The JSON of all entries of the transcript stream."""
        return [payload_of(item) for item in self.entries if PAYLOAD_FIELD in item.fields]


@dataclass
class FakeLink:
    """A Redis in memory.

    Attributes:
        away: it does not answer.
        hangs_s: it answers this late.
        refusal: it takes no entries, for this reason.
        extra: entries that others have put into the stream.
    """

    away: bool = False
    hangs_s: float = 0.0
    refusal: str = ""
    extra: int = 0
    connections: int = 0
    entries: list[StreamEntry] = field(default_factory=list)
    frames: list[LiveFrame] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    is_closed: bool = False
    _connected: bool = False

    async def send(self, entries: Sequence[StreamEntry], frames: Sequence[LiveFrame]) -> Answer:
        """See `Link.send`."""
        await asyncio.sleep(self.hangs_s)
        if self.away:
            self._connected = False
            raise Away("not there")
        if not self._connected:
            self._connected = True
            self.connections += 1
        self.batches.append(len(entries))
        self.frames += frames
        if self.refusal:
            return Answer(tuple(False for _ in entries), self.refusal if entries else "", self.extra)
        self.entries += entries
        return Answer(tuple(True for _ in entries), "", len(self.entries) + self.extra)

    async def close(self) -> None:
        """Remember it."""
        self.is_closed = True

    def restart_empty(self) -> None:
        """Everything is gone, and the connection with it."""
        self.entries.clear()
        self._connected = False
