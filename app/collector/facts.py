"""What an entry of the Redis streams says, in one vocabulary for every producer. Pure.

`app/collector/wire` reads entries into facts, `app/collector/store` writes facts into the database.
Every fact carries the revision of its entry, and the higher revision wins, so the order in which
entries arrive, and how often, does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

NO_PLATFORM: Final = "none"  # of meetings that no producer named
NO_SESSION: Final = "-"  # of producers without uid: one session for the meeting, which tells it from no other
FIRST_OWN_MEETING_ID: Final = 1_000_000_000  # meetings that the collector numbers itself; below: Vexa's numbers


@dataclass(frozen=True, slots=True, order=True)
class Revision:
    """The id of a stream entry: milliseconds of Redis' clock, and a counter within the millisecond."""

    ms: int
    n: int

    @classmethod
    def parse(cls, entry_id: str) -> Self:
        """Read `1700000000000-0`.

        Raises:
            ValueError: it is not such an id.
        """
        ms, _, n = entry_id.partition("-")
        return cls(int(ms), int(n or 0))

    def __str__(self) -> str:
        """As Redis writes it."""
        return f"{self.ms}-{self.n}"


@dataclass(frozen=True, slots=True)
class Room:
    """Which meeting an entry belongs to, as its producer named it.

    Attributes:
        platform: lower case, such as google_meet; None if the producer named none.
        native_id: the platform's own name of the meeting, such as abc-defg-hij.
        meeting_id: Vexa's number of the meeting; then it is our primary key too.
        owner_id: from a verified token's claims; None: the owner of `token_sha256` if it is known here, else the
            default owner.
        token_sha256: hex digest of the token that came with the entry; the token itself is never kept.
        expires_ms: the token's expiry (Unix ms). It must lie after the revision of the session's first entry only:
            a long meeting outlives its token.
    """

    platform: str | None = None
    native_id: str | None = None
    meeting_id: int | None = None
    owner_id: int | None = None
    token_sha256: str | None = None
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SessionStart:
    """Second 0 of a session.

    Attributes:
        start_ms: Unix ms.
    """

    start_ms: int


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """A session is over.

    Attributes:
        end_ms: Unix ms, None if the producer did not say.
        final_count: how many finals the session published; None if unknown.
    """

    end_ms: int | None = None
    final_count: int | None = None


@dataclass(frozen=True, slots=True)
class SegmentFact:
    """One segment as a producer sent it.

    Attributes:
        key: `segment_id`, or `t:<start_ms>` for producers that have none (then `has_id` is false).
        ordinal: the `seq` of our gateway: finals of a session are numbered from 0.
        start_ms, end_ms: since the session's second 0; None if the producer gave Unix times only.
        abs_start_ms, abs_end_ms: Unix ms; None if they follow from the session's start.
        text: without white space around it; never filtered for its content.
        completed: final, else a draft.
        words: as the producer sent them.
    """

    key: str
    has_id: bool
    text: str
    completed: bool
    start_ms: int | None = None
    end_ms: int | None = None
    abs_start_ms: int | None = None
    abs_end_ms: int | None = None
    ordinal: int | None = None
    language: str | None = None
    speaker: str | None = None
    speaker_key: str | None = None
    source: str | None = None
    words: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments of one entry.

    Attributes:
        replaces_drafts: the entry's drafts are all drafts that its session has (producers without segment ids).
    """

    segments: tuple[SegmentFact, ...]
    replaces_drafts: bool = False


@dataclass(frozen=True, slots=True)
class Retract:
    """Segments that were never said."""

    segment_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpeakerEvent:
    """Somebody began or stopped to speak.

    Attributes:
        t_ms: since the session's second 0.
        participant_id: the platform's id, if it has one.
    """

    t_ms: int
    kind: Literal["SPEAKER_START", "SPEAKER_END"]
    name: str
    participant_id: str | None = None


Fact = SessionStart | SessionEnd | Segments | Retract | SpeakerEvent


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream, read.

    Attributes:
        stream: the Redis key it was read from.
        revision: its id.
        room: the meeting it belongs to.
        session_key: `connection_id`, else `uid`, else `-`: one session of a meeting.
        session_uid: the producer's `uid`, None if there is none.
        connection_id: present on entries of our own gateway, whose finals never change.
        facts: what it says, in order.
        problems: parts of it that could not be used, each with its reason; they belong into the dead letters.
    """

    stream: str
    revision: Revision
    room: Room
    session_key: str
    session_uid: str | None
    connection_id: str | None
    facts: tuple[Fact, ...]
    problems: tuple[str, ...] = field(default=())
