"""A meeting in memory, for the fake store: revisions, drafts and retractions as in the real one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Final

from app.collector.facts import (
    Entry,
    Fact,
    Retract,
    Revision,
    SegmentFact,
    Segments,
    SessionEnd,
    SessionStart,
    SpeakerEvent,
)
from app.collector.rows import Change, Deletion, MeetingRow, SegmentRow, SessionRow
from app.collector.segment_ids import shown_id

OVER: Final = ("completed", "failed")


@dataclass(slots=True)
class Meeting:
    """A meeting and all that was said in it."""

    row: MeetingRow
    sessions: dict[str, SessionRow] = field(default_factory=dict)
    segments: dict[tuple[str, str], SegmentRow] = field(default_factory=dict)
    revisions: dict[tuple[str, str], Revision] = field(default_factory=dict)
    entries: dict[str, set[str]] = field(default_factory=dict)
    last_ms: int = 0
    new_sessions: list[str] = field(default_factory=list)
    told_status: str = "active"

    def changed_since(self, seq: int) -> list[SegmentRow]:
        """Rows with a higher seq, in reading order."""
        return sorted((row for row in self.segments.values() if row.seq > seq), key=self.order)

    def order(self, row: SegmentRow) -> tuple[int, int, int, str]:
        """Reading order."""
        return row.abs_start_ms, self.sessions[row.session_key].start_ms, row.start_ms, row.key

    def note(self, entry: Entry, fact: Fact) -> list[str]:
        """Take a fact in; return what became of its segments: new, update, same, late."""
        session = self.sessions[entry.session_key]
        match fact:
            case SessionStart(start_ms=start_ms):
                session = dataclasses.replace(session, start_ms=start_ms, start_estimated=False)
                self.sessions[session.key] = session
            case SessionEnd(end_ms=end_ms):
                self.sessions[session.key] = dataclasses.replace(session, end_ms=end_ms or entry.revision.ms)
                self.promote(float("inf"), session.key)
            case Segments():
                return [self._segment(entry, each) for each in fact.segments]
            case Retract(segment_ids=ids):
                for id_ in ids:
                    self._segment(entry, SegmentFact(id_, has_id=True, text="", completed=True), deleted=True)
            case SpeakerEvent():
                pass
        return []

    def _segment(self, entry: Entry, fact: SegmentFact, *, deleted: bool = False) -> str:
        at = (entry.session_key, fact.key)
        old, session = self.segments.get(at), self.sessions[entry.session_key]
        if old is not None and not (
            self.revisions[at] < entry.revision
            or (self.revisions[at] == entry.revision and fact.completed and not old.completed)
        ):
            return "late" if self.revisions[at] > entry.revision else "same"
        if old is not None and (old.text, old.completed, old.deleted) == (fact.text, fact.completed, deleted):
            return "same"
        start_ms, end_ms = fact.start_ms or 0, fact.end_ms or 0
        abs_start_ms = session.start_ms + start_ms if fact.abs_start_ms is None else fact.abs_start_ms
        self.row = dataclasses.replace(self.row, seq=self.row.seq + 1, updated_ms=entry.revision.ms)
        self.revisions[at] = entry.revision
        self.segments[at] = SegmentRow(
            id=old.id if old else len(self.segments) + 1,
            meeting_id=self.row.id,
            session_key=session.key,
            session_uid=session.uid,
            key=fact.key,
            start_ms=start_ms,
            end_ms=end_ms,
            abs_start_ms=abs_start_ms,
            abs_end_ms=session.start_ms + end_ms if fact.abs_end_ms is None else fact.abs_end_ms,
            text=fact.text,
            language=fact.language,
            speaker=fact.speaker,
            speaker_key=fact.speaker_key,
            speaker_status="PRODUCER_LABELED" if fact.speaker else None,
            source=fact.source,
            completed=fact.completed,
            promoted=False,
            deleted=deleted,
            hidden_by=None,
            words=fact.words,
            seq=self.row.seq,
            created_ms=old.created_ms if old else entry.revision.ms,
            updated_ms=entry.revision.ms,
        )
        return "update" if old else "new"

    def promote(self, limit_ms: float, session_key: str | None = None) -> None:
        """Make drafts final that are older."""
        for at, row in self.segments.items():
            if not row.completed and row.updated_ms < limit_ms and session_key in {None, row.session_key}:
                self.row = dataclasses.replace(self.row, seq=self.row.seq + 1)
                self.segments[at] = dataclasses.replace(row, completed=True, promoted=True, seq=self.row.seq)

    def end(self, status: str) -> None:
        """The meeting is over."""
        if self.row.status not in OVER:
            self.promote(float("inf"))
            self.row = dataclasses.replace(self.row, status=status, seq=self.row.seq + 1)

    def change(self, prev_seq: int) -> Change | None:
        """What changed since a seq; None if nothing did."""
        sessions, self.new_sessions = tuple(self.new_sessions), []
        if self.row.seq == prev_seq and not sessions:
            return None
        changed = self.changed_since(prev_seq)
        shown = tuple(row for row in changed if not row.deleted)
        gone = tuple(shown_id(row.session_key, row.key) for row in changed if row.deleted)
        told, self.told_status = self.told_status, self.row.status
        return Change(self.row, prev_seq, shown, gone, sessions, status_changed=told != self.row.status)

    def delete(self) -> Deletion:
        """Forget what was said."""
        row = self.row
        entry_ids = {stream: tuple(sorted(ids)) for stream, ids in self.entries.items()}
        deletion = Deletion(row, tuple(self.sessions), entry_ids)
        self.row = dataclasses.replace(row, native_id=None, data={"redacted": True}, seq=row.seq + 1)
        self.segments.clear()
        self.sessions.clear()
        return deletion
