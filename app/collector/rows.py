"""What the store returns: rows of the database as plain values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

SpeakerStatus = Literal["PRODUCER_LABELED", "MAPPED", "MULTIPLE_CONCURRENT_SPEAKERS", "UNKNOWN", "NO_SPEAKER_EVENTS"]


@dataclass(frozen=True, slots=True)
class MeetingRow:
    """A meeting.

    Attributes:
        native_id: None once the meeting was deleted.
        status: active, completed, or what Vexa calls it.
        start_ms, end_ms: Unix ms: the first session's second 0, and the last segment's end.
        data: what people added: name, participants, languages, notes; `redacted` after a deletion.
        seq: counts the changes of the meeting's transcript.
        complete: every final that the producers counted is here; None while no producer has counted.
    """

    id: int
    owner_id: int
    platform: str
    native_id: str | None
    status: str
    start_ms: int | None
    end_ms: int | None
    data: dict[str, Any]
    seq: int
    complete: bool | None
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment with everything that the API shows of it.

    Attributes:
        key: its identity within its session; `segment_ids.shown_id` makes the `segment_id` of it.
        session_key, session_uid: the session it belongs to.
        start_ms, end_ms: since the session's second 0.
        abs_start_ms, abs_end_ms: Unix ms.
        hidden_by: key of the segment that says the same (producers without segment ids only).
        promoted: a draft that became final because nothing more came.
        seq: the meeting's `seq` when this row last changed.
    """

    id: int
    meeting_id: int
    session_key: str
    session_uid: str | None
    key: str
    start_ms: int
    end_ms: int
    abs_start_ms: int
    abs_end_ms: int
    text: str
    language: str | None
    speaker: str | None
    speaker_key: str | None
    speaker_status: SpeakerStatus | None
    source: str | None
    completed: bool
    promoted: bool
    deleted: bool
    hidden_by: str | None
    words: tuple[dict[str, Any], ...] | None
    seq: int
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction changed in one meeting; the content of a live frame.

    Attributes:
        prev_seq: the meeting's `seq` before.
        segments: rows that are new or changed, in reading order; drafts have completed=False.
        retracted: segments that are gone (retracted, or drafts that were replaced), by their `segment_ids.shown_id`.
        sessions: session keys that are new, so that readers can follow their drafts.
        status_changed: the meeting's status is another one than before.
    """

    meeting: MeetingRow
    prev_seq: int
    segments: tuple[SegmentRow, ...] = ()
    retracted: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    status_changed: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that was not stored, and why; it belongs into the dead letters.

    Attributes:
        may_change: entries before it, which another collector holds, may let it in; it should be tried once more.
    """

    entry_id: str
    stream: str
    reason: str
    may_change: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of one committed transaction.

    Attributes:
        counts: segments by kind: new, update, same, late, tombstoned.
        conflicts: finals of our gateway that came again with another text; the first one stays.
    """

    changes: tuple[Change, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session of a meeting.

    Attributes:
        key: `connection_id`, else `uid`, else `-`.
        start_ms, end_ms: Unix ms; `end_ms` is None while it goes on.
        start_estimated: no start event came yet.
    """

    key: str
    uid: str | None
    start_ms: int
    start_estimated: bool
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deleted meeting, and where else its text may still be.

    Attributes:
        meeting: the row as it was before.
        session_keys: its sessions.
        entry_ids: by stream, the entries that its rows were stored from.
    """

    meeting: MeetingRow
    session_keys: tuple[str, ...]
    entry_ids: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An accepted key of the read API."""

    owner_id: int
    scopes: frozenset[str]  # read, write, delete


@dataclass(frozen=True, slots=True)
class Hit:
    """A segment that matches a search."""

    meeting: MeetingRow
    segment: SegmentRow
    snippet: str  # matches between <b> and </b>; the rest is HTML-escaped


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; `next_cursor` is None at the end."""

    items: tuple[T, ...]
    next_cursor: str | None = None
