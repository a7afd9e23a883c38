"""How facts change a session and its segments. Pure: rows in memory, no database, no clock.

Every rule picks the greater of two versions, so the order in which facts arrive, and how often, does not matter:

- a final or a retraction beats every draft; of finals and retractions the higher revision wins;
- of drafts the higher revision wins; a complete set of drafts replaces the older sets of its session;
- a session starts when its start event says, else as its first segments let expect, else with its first entry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.collector.facts import Retract, SegmentFact, Segments, SessionEnd
from app.collector.rows import SpeakerStatus

Rev = tuple[int, int]  # Revision without its class: compared for every segment

ARRIVAL, SEGMENTS, EVENT = 0, 1, 2  # what a session's start was taken from; only EVENT is exact
RELATIVE, ABSOLUTE, BOTH = 0, 1, 2  # which times of a segment its producer gave; the others follow from the start
SAME, SILENT, VISIBLE = 0, 1, 2  # what readers see of a change; SILENT: the revision alone
LABELED: Final[SpeakerStatus] = "PRODUCER_LABELED"


@dataclass(slots=True)
class Segment:
    """A row of `transcriptions`; the fields stand in the order of state.SEGMENT_COLUMNS."""

    id: int | None
    session_id: int | None
    key: str
    has_id: bool
    ordinal: int | None
    timing: int
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
    words: list[dict[str, Any]] | None
    rev_ms: int
    rev_n: int
    seq: int
    created_ms: int
    updated_ms: int
    change: int = SAME
    was_shown: bool = False  # readers have seen it before this transaction
    was_final_until_ms: int | None = None  # abs_end_ms before this transaction, if it was final

    @property
    def rev(self) -> Rev:
        """The revision that its content came with."""
        return self.rev_ms, self.rev_n

    @property
    def is_settled(self) -> bool:
        """A final that its producer sent, or a retracted segment: no draft changes it."""
        return self.completed and not self.promoted

    @property
    def is_shown(self) -> bool:
        """Readers see it unless they ask for everything."""
        return not self.deleted and self.hidden_by is None

    def changed(self, at_ms: int) -> None:
        """Note a change that readers see."""
        self.change = VISIBLE
        self.updated_ms = max(self.updated_ms, at_ms)


@dataclass(slots=True)
class Session:
    """A row of `meeting_sessions`, and those of its segments that this transaction needs."""

    id: int | None
    meeting_id: int
    key: str
    uid: str | None
    stream: str
    start_ms: int
    start_source: int
    start_rev_ms: int
    start_rev_n: int
    draft_rev_ms: int
    draft_rev_n: int
    end_ms: int | None
    end_rev_ms: int | None
    end_rev_n: int | None
    expected: int | None
    missing: int | None
    missing_reported: int
    first_rev_ms: int
    last_rev_ms: int
    change: int = SAME
    start_moved: bool = False  # or it is new
    segments: dict[str, Segment] = field(default_factory=dict)

    @classmethod
    def new(cls, meeting_id: int, key: str, uid: str | None, stream: str, rev: Rev) -> Session:
        """A session of which nothing is known but its first entry."""
        first = (rev[0], ARRIVAL, *rev, 0, 0, None, None, None, None, None, 0, rev[0], rev[0])
        return cls(None, meeting_id, key, uid, stream, *first, change=VISIBLE, start_moved=True)

    def heard(self, uid: str | None, rev_ms: int) -> None:
        """Note that an entry came."""
        first_ms, last_ms = min(self.first_rev_ms, rev_ms), max(self.last_rev_ms, rev_ms)
        if (first_ms, last_ms) != (self.first_rev_ms, self.last_rev_ms) or (uid and not self.uid):
            self.first_rev_ms, self.last_rev_ms, self.uid = first_ms, last_ms, self.uid or uid
            self.change = max(self.change, SILENT)


@dataclass(slots=True)
class Tally:
    """What happened to segments: new, update, same, late, tombstoned; and finals that contradict a stored one."""

    counts: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0


def offer_start(session: Session, start_ms: int, source: int, rev: Rev) -> None:
    """Let a session start at `start_ms` if that is known better: an event, the last one; or else the first entry."""
    known = session.start_rev_ms, session.start_rev_n
    newer = rev > known if source == EVENT else rev < known
    if source < session.start_source or (source == session.start_source and not newer):
        return
    session.change = max(session.change, VISIBLE if start_ms != session.start_ms else SILENT)
    session.start_moved = session.start_moved or start_ms != session.start_ms
    if (source == EVENT) != (session.start_source == EVENT):
        session.change = VISIBLE
    session.start_ms, session.start_source = start_ms, source
    session.start_rev_ms, session.start_rev_n = rev


def estimated_start(facts: Iterable[SegmentFact], rev_ms: int) -> int | None:
    """When a session began, from the segments of its first entry; None without segments."""
    facts = tuple(facts)
    both = [
        fact.abs_start_ms - fact.start_ms
        for fact in facts
        if fact.abs_start_ms is not None and fact.start_ms is not None
    ]
    if both:
        return both[0]
    absolute = [fact.abs_start_ms for fact in facts if fact.abs_start_ms is not None]
    if absolute:
        return min(absolute)
    return rev_ms - max(fact.end_ms or fact.start_ms or 0 for fact in facts) if facts else None


def end_session(session: Session, fact: SessionEnd, rev: Rev) -> None:
    """Note that a session is over; the last word on it counts."""
    if rev <= (session.end_rev_ms or 0, session.end_rev_n or 0):
        return
    news = (rev[0] if fact.end_ms is None else fact.end_ms, fact.final_count)
    session.change = max(session.change, VISIBLE if news != (session.end_ms, session.expected) else SILENT)
    session.end_ms, session.expected = news
    session.end_rev_ms, session.end_rev_n = rev


def merge_segments(session: Session, news: Segments, rev: Rev, tally: Tally, *, immutable: bool) -> None:
    """Store the segments of one entry; if `immutable` (our gateway's), a final that is there never changes."""
    facts = _one_per_key(news.segments)
    is_outdated = news.replaces_drafts and rev < (session.draft_rev_ms, session.draft_rev_n)
    if news.replaces_drafts and not is_outdated:
        _replace_drafts(session, {key for key, fact in facts.items() if not fact.completed}, rev)
    for key, fact in facts.items():
        row = session.segments.get(key)
        if is_outdated and not fact.completed and not fact.has_id:
            tally.counts["late"] += 1
        elif row is None:
            session.segments[key] = _fill(_empty(session, fact, rev), fact, rev)
            tally.counts["new"] += 1
        else:
            outcome = _outcome(row, fact, rev, immutable=immutable)
            tally.conflicts += outcome == "conflict"
            tally.counts["same" if outcome == "conflict" else outcome] += 1
            if outcome == "update":
                _fill(row, fact, rev)
            elif outcome == "same" and not (immutable and row.is_settled) and rev > row.rev:
                row.rev_ms, row.rev_n = rev
                row.change = max(row.change, SILENT)


def retract(session: Session, news: Retract, rev: Rev) -> None:
    """Remove segments; what was not seen yet gets a row that keeps it out."""
    for key in news.segment_ids:
        row = session.segments.get(key)
        if row is None:
            fact = SegmentFact(key=key, has_id=True, text="", completed=True, start_ms=0, end_ms=0)
            row = session.segments[key] = _fill(_empty(session, fact, rev), fact, rev)
        elif row.is_settled and rev <= row.rev:
            continue
        row.rev_ms, row.rev_n = rev
        if row.deleted and row.is_settled:
            row.change = max(row.change, SILENT)
        else:
            remove(row, rev[0])
            row.completed = True


def remove(row: Segment, at_ms: int) -> None:
    """Empty a segment; its row stays, so that readers learn of it."""
    row.text, row.words, row.speaker, row.speaker_key, row.hidden_by = "", None, None, None, None
    row.deleted, row.promoted = True, False
    row.changed(at_ms)


def promote(row: Segment, at_ms: int) -> None:
    """Make a draft final because nothing more came."""
    row.completed = row.promoted = True
    row.changed(at_ms)


def set_times(session: Session, row: Segment) -> None:
    """Compute the times that the producer did not give from the session's start."""
    if row.deleted or row.timing == BOTH:
        return
    before = row.start_ms, row.end_ms, row.abs_start_ms, row.abs_end_ms
    if row.timing == RELATIVE:
        row.abs_start_ms, row.abs_end_ms = session.start_ms + row.start_ms, session.start_ms + row.end_ms
    else:
        row.start_ms = max(row.abs_start_ms - session.start_ms, 0)
        row.end_ms = max(row.abs_end_ms - session.start_ms, row.start_ms)
    if before != (row.start_ms, row.end_ms, row.abs_start_ms, row.abs_end_ms):
        row.changed(session.start_rev_ms)


def _one_per_key(facts: Sequence[SegmentFact]) -> dict[str, SegmentFact]:
    """An entry may say a key twice: a final counts, else the last one."""
    chosen: dict[str, SegmentFact] = {}
    for fact in facts:
        if fact.completed or fact.key not in chosen or not chosen[fact.key].completed:
            chosen[fact.key] = fact
    return chosen


def _replace_drafts(session: Session, keep: set[str], rev: Rev) -> None:
    for row in session.segments.values():
        is_live_draft = not row.completed and not row.deleted and not row.has_id
        if is_live_draft and row.key not in keep and row.rev < rev:
            remove(row, rev[0])
            row.rev_ms, row.rev_n = rev
    if rev > (session.draft_rev_ms, session.draft_rev_n):
        session.draft_rev_ms, session.draft_rev_n = rev
        session.change = max(session.change, SILENT)


def _outcome(row: Segment, fact: SegmentFact, rev: Rev, *, immutable: bool) -> str:
    """What a fact does to a row that is there: update, same, late, or conflict."""
    if row.is_settled:
        if not fact.completed:
            return "late"
        if immutable and not row.deleted:
            return "same" if row.text == fact.text else "conflict"
    if row.is_settled == fact.completed and rev <= row.rev:
        return "same" if rev == row.rev or _says_the_same(row, fact) else "late"
    return "same" if _says_the_same(row, fact) else "update"


def _says_the_same(row: Segment, fact: SegmentFact) -> bool:
    """Equal content. A draft that was promoted stays so while its producer only repeats it."""
    completed = fact.completed or (row.promoted and row.completed)
    mine = row.deleted, row.completed, row.promoted and fact.completed, row.text, row.language, row.ordinal, row.source
    theirs = False, completed, False, fact.text, fact.language, fact.ordinal, fact.source
    if mine != theirs or row.speaker_key != fact.speaker_key or (row.words or []) != list(fact.words or ()):
        return False
    if fact.speaker is None:
        same_speaker = row.speaker_status != LABELED
    else:
        same_speaker = row.speaker_status == LABELED and row.speaker == fact.speaker
    return same_speaker and row.timing == _timing(fact) and _given_times(row, row.timing) == _times(fact)


def _timing(fact: SegmentFact) -> int:
    if fact.start_ms is None:
        return ABSOLUTE
    return RELATIVE if fact.abs_start_ms is None else BOTH


def _times(fact: SegmentFact) -> tuple[int, ...]:
    """The times that the producer gave: start and end, relative ones first."""
    times: tuple[int, ...] = ()
    for start_ms, end_ms in ((fact.start_ms, fact.end_ms), (fact.abs_start_ms, fact.abs_end_ms)):
        if start_ms is not None:
            times += (start_ms, start_ms if end_ms is None else end_ms)
    return times


def _given_times(row: Segment, timing: int) -> tuple[int, ...]:
    relative, absolute = (row.start_ms, row.end_ms), (row.abs_start_ms, row.abs_end_ms)
    return relative if timing == RELATIVE else absolute if timing == ABSOLUTE else relative + absolute


def _empty(session: Session, fact: SegmentFact, rev: Rev) -> Segment:
    """A row with nothing in it but its identity."""
    content = (None, RELATIVE, 0, 0, 0, 0, "", None, None, None, None, None, False, False, False, None, None)
    return Segment(None, session.id, fact.key, fact.has_id, *content, *rev, 0, rev[0], rev[0])


def _fill(row: Segment, fact: SegmentFact, rev: Rev) -> Segment:
    row.timing, times = _timing(fact), _times(fact)
    if row.timing != ABSOLUTE:
        row.start_ms, row.end_ms = times[:2]
    if row.timing != RELATIVE:
        row.abs_start_ms, row.abs_end_ms = times[-2:]
    row.text, row.language, row.ordinal = fact.text, fact.language, fact.ordinal
    row.source, row.speaker_key = fact.source, fact.speaker_key
    if fact.speaker is not None:
        row.speaker, row.speaker_status = fact.speaker, LABELED
    elif row.speaker_status == LABELED:
        row.speaker = row.speaker_status = None
    row.words = list(fact.words) if fact.words else None
    row.completed, row.promoted, row.deleted = fact.completed, False, False
    row.rev_ms, row.rev_n = rev
    row.changed(rev[0])
    return row
