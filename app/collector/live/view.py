"""One reader's view of one meeting: which frames follow, and which drafts stand beside them. Pure.

A reader that is behind is brought up to date from the store; frames that come meanwhile only say how far to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.collector.live.draft_board import DraftBoard
from app.collector.live.draft_message import Drafts, Segment, read_bundle
from app.collector.live.gaps import next_step
from app.collector.render.frames import Frame

_UNKNOWN: Any = object()  # the reader may show drafts that nobody here knows of


class View:
    """What a reader has of a meeting.

    Attributes:
        meeting: id, platform and native_id, as frames show them.
        position: the meeting's `seq` that the reader has reached.
        behind: something is missing that must be read from the store.
        started: the reader has been up to date once.
    """

    def __init__(self, meeting: Mapping[str, Any], *, since_seq: int, sessions: Iterable[str] = ()) -> None:
        self.meeting = dict(meeting)
        self.position = since_seq
        self.behind = True
        self.started = False
        self._seen_seq = 0  # the highest that was heard of
        self._heard_seq = 0  # the same when the reading began
        self._board = DraftBoard()
        self._sent: dict[str | None, Any] = {None: _UNKNOWN} if since_seq else {}
        for each in sessions:
            self.follow(each)

    def follow(self, connection_id: str) -> None:
        """Drafts of this connection may come."""
        self._board.follow(connection_id)

    def frame(self, frame: Mapping[str, Any], *, now_s: float, ts: str) -> list[Frame]:
        """Take a message of the meeting's channel; return the frames to send."""
        seq, prev_seq = frame.get("seq"), frame.get("prev_seq")
        if not isinstance(seq, int) or not isinstance(prev_seq, int):
            return self._bundle(frame, now_s=now_s, ts=ts)
        if self.behind:
            self.notice(seq)
            return []
        step = next_step(self.position, prev_seq=prev_seq, seq=seq)
        if step == "read":
            self.fall_behind(seq)
        if step != "take":
            return []
        shown = self._show(frame)
        self.position = seq
        return [shown, *self._changed(ts)]

    def notice(self, seq: int) -> None:
        """The meeting has reached this `seq`."""
        self._seen_seq = max(self._seen_seq, seq)
        self.behind = self.behind or seq > self.position

    def fall_behind(self, seq: int = 0, *, position: int | None = None) -> None:
        """Something was lost; `position` is what the reader has got, if that is less than it was given."""
        self.behind = True
        self._seen_seq = max(self._seen_seq, seq)
        if position is not None:
            self.position = min(self.position, position)

    def reading(self) -> None:
        """The store is going to be read."""
        self._heard_seq = self._seen_seq

    def loaded(self, frame: Mapping[str, Any]) -> Frame:
        """Take a frame that was made of the store's rows; return the one to send."""
        return self._show(frame)

    def caught_up(self, seq: int, *, ts: str) -> list[Frame]:
        """Everything up to `seq` was read; return what else to send. The view may still be behind."""
        if self._seen_seq == self._heard_seq:
            self._seen_seq = seq  # what was heard before and is not in the store never was
        self.position = seq
        self.behind = self._seen_seq > seq
        self.started = True
        return self._changed(ts)

    def drafts(self, drafts: Drafts, *, now_s: float, ts: str) -> list[Frame]:
        """Take the newest drafts of a connection."""
        self._board.session(drafts, now_s=now_s)
        return self._changed(ts)

    def tick(self, *, now_s: float, ts: str) -> list[Frame]:
        """Let time pass: drafts that were held back long enough, and those that are too old."""
        self._board.tick(now_s)
        return self._changed(ts)

    def lost_drafts(self) -> None:
        """Frames with drafts were dropped, so the reader may show old ones."""
        self._sent = dict.fromkeys((*self._sent, None), _UNKNOWN)

    def _bundle(self, frame: Mapping[str, Any], *, now_s: float, ts: str) -> list[Frame]:
        bundle = read_bundle(frame)
        if bundle is None:
            return []
        self._board.bundle(*bundle, now_s=now_s)
        return self._changed(ts)

    def _show(self, frame: Mapping[str, Any]) -> Frame:
        """The frame with all drafts of its speaker, because clients replace the speaker's drafts by `pending`."""
        if frame["type"] == "transcript_retract":
            self._board.retract(frame["segment_ids"])
        if frame["type"] != "transcript":
            return dict(frame)
        self._board.confirm(frame["confirmed"])
        self._board.stored(frame["pending"])
        pending = self._board.pending().get(frame["speaker"], [])
        self._sent[frame["speaker"]] = pending
        return {**frame, "pending": pending}

    def _changed(self, ts: str) -> list[Frame]:
        """A frame for each speaker whose drafts are not as they were sent."""
        if self.behind:
            return []
        pending = self._board.pending()
        found = []
        for speaker in dict.fromkeys((*self._sent, *pending)):
            segments = pending.get(speaker, [])
            if segments != self._sent.get(speaker, []):
                found.append(self._draft_frame(speaker, segments, ts))
                self._sent[speaker] = segments
        return found

    def _draft_frame(self, speaker: str | None, segments: list[Segment], ts: str) -> Frame:
        return {
            "type": "transcript",
            "meeting": self.meeting,
            "speaker": speaker,
            "confirmed": [],
            "pending": segments,
            "seq": self.position,
            "prev_seq": self.position,
            "ts": ts,
        }
