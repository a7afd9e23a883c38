# ruff: noqa: D102 - Storage says what each method does
"""A store in memory that keeps revisions as the real one does, and fails when a test says so.

It leaves out what only a database can show: locks, full text, overlaps and speaker mapping.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from app.collector.errors import DatabaseAway, NotOver
from app.collector.facts import Entry, Room
from app.collector.rows import ApiKey, Applied, Deletion, Hit, MeetingRow, Page, Refused, SegmentRow, SessionRow
from tests.collector.fake_meeting import OVER, Meeting

FIRST_ID: Final = 1_000_000_000  # of meetings whose producer gave no number


class FakeStore:
    """See Storage for what each method does.

    Attributes:
        away: every call raises DatabaseAway.
        poison: an entry for which this is true makes `apply` raise RuntimeError, as a bug would.
        refuse: the reason for which an entry is refused, None if it is not.
        refusals_may_change: an entry that was refused may be stored later.
        batches: how many entries each committed `apply` had.
        calls: the names of the other writing calls, in order.
        missing: what `recheck_complete` returns.
    """

    def __init__(self) -> None:
        self.away = False
        self.poison: Callable[[Entry], bool] = lambda entry: False
        self.refuse: Callable[[Entry], str | None] = lambda entry: None
        self.refusals_may_change = False
        self.batches: list[int] = []
        self.calls: list[tuple[str, int]] = []
        self.missing = 0
        self.found: dict[int, Meeting] = {}
        self.keys: dict[str, ApiKey] = {}
        self.deleted: set[tuple[int, str, str]] = set()
        self.now_ms = 0

    def texts(self) -> list[str]:
        """The texts of all meetings, in reading order."""
        return [
            row.text
            for meeting in self.found.values()
            for row in sorted(meeting.segments.values(), key=meeting.order)
            if not row.deleted
        ]

    async def close(self) -> None:
        """Nothing is open."""

    async def ping(self) -> None:
        self._check()

    async def apply(self, entries: Sequence[Entry]) -> Applied:
        self._check()
        if any(self.poison(entry) for entry in entries):
            raise RuntimeError("a bug; its message may hold text")
        self.batches.append(len(entries))
        counts: dict[str, int] = {}
        touched: dict[int, int] = {}
        refused = []
        for entry in entries:
            reason = self.refuse(entry)
            if reason is not None:
                refused.append(Refused(str(entry.revision), entry.stream, reason, self.refusals_may_change))
                continue
            if self._tombstoned(entry.room):
                counts["tombstoned"] = counts.get("tombstoned", 0) + 1
                continue
            meeting = self._meeting(entry)
            touched.setdefault(meeting.row.id, meeting.row.seq)
            meeting.entries.setdefault(entry.stream, set()).add(str(entry.revision))
            for fact in entry.facts:
                for kind in meeting.note(entry, fact):
                    counts[kind] = counts.get(kind, 0) + 1
        changes = tuple(self.found[id_].change(seq) for id_, seq in touched.items())
        return Applied(tuple(each for each in changes if each is not None), counts, 0, tuple(refused))

    async def promote_drafts(self, *, now_ms: int, older_than_s: float) -> Applied:
        self._called("promote_drafts", now_ms)
        limit_ms = now_ms - older_than_s * 1000
        applied = self._each(lambda meeting: meeting.promote(limit_ms))
        promoted = sum(row.promoted for change in applied.changes for row in change.segments)
        return dataclasses.replace(applied, counts={"promoted": promoted} if promoted else {})

    async def end_meetings(self, *, now_ms: int, idle_s: float) -> Applied:
        self._called("end_meetings", now_ms)
        return self._each(
            lambda meeting: meeting.end("completed") if meeting.last_ms < now_ms - idle_s * 1000 else None
        )

    async def end_meeting(self, meeting_id: int, *, now_ms: int, status: str = "completed") -> Applied:
        self._called("end_meeting", now_ms)
        return self._each(lambda meeting: meeting.end(status) if meeting.row.id == meeting_id else None)

    async def recheck_complete(self, *, now_ms: int) -> int:
        self._called("recheck_complete", now_ms)
        return self.missing

    async def patch_meeting(self, meeting_id: int, data: Mapping[str, Any], *, now_ms: int) -> MeetingRow:
        self._called("patch_meeting", now_ms)
        meeting = self.found[meeting_id]
        meeting.row = dataclasses.replace(meeting.row, data={**meeting.row.data, **data}, updated_ms=now_ms)
        return meeting.row

    async def delete_meeting(
        self, owner_id: int, platform: str, native_id: str, *, meeting_id: int | None, now_ms: int
    ) -> Deletion | None:
        self._called("delete_meeting", now_ms)
        row = await self.meeting(owner_id, platform, native_id, meeting_id=meeting_id)
        return None if row is None else self._delete_if_over(self.found[row.id])

    async def delete_meeting_by_id(self, owner_id: int, meeting_id: int, *, now_ms: int) -> Deletion | None:
        self._called("delete_meeting", now_ms)
        meeting = self.found.get(meeting_id)
        return None if meeting is None or meeting.row.owner_id != owner_id else self._delete_if_over(meeting)

    async def expire(self, *, now_ms: int, retention_days: int, limit: int) -> tuple[Deletion, ...]:
        self._called("expire", now_ms)
        before_ms = now_ms - retention_days * 86_400_000
        old = [
            meeting
            for meeting in self.found.values()
            if meeting.row.native_id is not None and meeting.row.status in OVER and meeting.last_ms < before_ms
        ]
        return tuple(self._delete(meeting) for meeting in old[:limit])

    async def checkpoint(self) -> None:
        self._called("checkpoint", 0)

    async def create_key(
        self,
        owner_id: int,
        sha256: str,
        *,
        prefix: str,
        name: str,
        scopes: frozenset[str],
        expires_ms: int | None,
        now_ms: int,
    ) -> None:
        self._called("create_key", now_ms)
        self.keys[sha256] = ApiKey(owner_id, scopes)

    async def key(self, sha256: str, *, now_ms: int) -> ApiKey | None:
        self._check()
        return self.keys.get(sha256)

    async def has_keys(self, *, now_ms: int) -> bool:
        self._check()
        return bool(self.keys)

    async def meeting(
        self, owner_id: int, platform: str, native_id: str, *, meeting_id: int | None = None
    ) -> MeetingRow | None:
        self._check()
        rows = [
            each.row
            for each in self.found.values()
            if (each.row.owner_id, each.row.platform, each.row.native_id) == (owner_id, platform, native_id)
            and meeting_id in {None, each.row.id}
        ]
        return max(rows, key=lambda row: (row.created_ms, row.id), default=None)

    async def meeting_by_id(self, owner_id: int, meeting_id: int) -> MeetingRow | None:
        self._check()
        meeting = self.found.get(meeting_id)
        return meeting.row if meeting and meeting.row.owner_id == owner_id else None

    async def meetings(
        self, owner_id: int, *, status: str | None, platform: str | None, limit: int, offset: int, cursor: str | None
    ) -> Page[MeetingRow]:
        self._check()
        first = int(cursor) if cursor else offset
        rows = sorted(
            (
                each.row
                for each in self.found.values()
                if each.row.owner_id == owner_id
                and status in {None, each.row.status}
                and platform in {None, each.row.platform}
            ),
            key=lambda row: (row.created_ms, row.id),
            reverse=True,
        )
        return Page(tuple(rows[first : first + limit]), str(first + limit) if len(rows) > first + limit else None)

    async def segments(
        self,
        meeting_id: int,
        *,
        limit: int | None,
        cursor: str | None = None,
        since_seq: int | None = None,
        drafts: bool = True,
        hidden: bool = False,
    ) -> Page[SegmentRow]:
        self._check()
        first = int(cursor or 0)
        rows = [
            row
            for row in self.found[meeting_id].changed_since(since_seq if since_seq is not None else -1)
            if (since_seq is not None or not row.deleted) and (drafts or row.completed)
        ]
        last = len(rows) if limit is None else first + limit
        return Page(tuple(rows[first:last]), str(last) if len(rows) > last else None)

    async def sessions(self, meeting_id: int) -> tuple[SessionRow, ...]:
        self._check()
        return tuple(self.found[meeting_id].sessions.values())

    async def seqs(self, meeting_ids: Collection[int]) -> dict[int, int]:
        self._check()
        rows = [self.found[id_].row for id_ in meeting_ids if id_ in self.found]
        return {row.id: row.seq for row in rows if row.native_id is not None}

    async def search(
        self,
        owner_id: int,
        query: str,
        *,
        platform: str | None,
        from_ms: int | None,
        to_ms: int | None,
        speaker: str | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Hit]:
        self._check()
        hits = [
            Hit(meeting.row, row, row.text)
            for meeting in self.found.values()
            if meeting.row.owner_id == owner_id
            for row in meeting.changed_since(-1)
            if not row.deleted and query.lower() in row.text.lower()
        ]
        return Page(tuple(hits[:limit]))

    def _check(self) -> None:
        if self.away:
            raise DatabaseAway

    def _called(self, name: str, now_ms: int) -> None:
        self._check()
        self.calls.append((name, now_ms))
        self.now_ms = now_ms

    def _tombstoned(self, room: Room) -> bool:
        return (room.owner_id or 1, room.platform or "none", room.native_id or "-") in self.deleted

    def _meeting(self, entry: Entry) -> Meeting:
        room, ms = entry.room, entry.revision.ms
        owner, platform, native = room.owner_id or 1, room.platform or "none", room.native_id or entry.session_key
        for meeting in self.found.values():
            same = (meeting.row.owner_id, meeting.row.platform, meeting.row.native_id) == (owner, platform, native)
            if meeting.row.id == room.meeting_id or (room.meeting_id is None and same):
                break
        else:
            id_ = room.meeting_id or FIRST_ID + len(self.found)
            row = MeetingRow(id_, owner, platform, native, "active", None, None, {}, 0, None, ms, ms)
            meeting = self.found[id_] = Meeting(row)
        meeting.last_ms = max(meeting.last_ms, ms)
        if entry.session_key not in meeting.sessions:
            meeting.sessions[entry.session_key] = SessionRow(
                entry.session_key, entry.session_uid, ms, start_estimated=True, end_ms=None
            )
            meeting.new_sessions.append(entry.session_key)
        return meeting

    def _each(self, act: Callable[[Meeting], None]) -> Applied:
        before = {id_: meeting.row.seq for id_, meeting in self.found.items()}
        for meeting in self.found.values():
            act(meeting)
        changes = (self.found[id_].change(seq) for id_, seq in before.items())
        return Applied(tuple(each for each in changes if each is not None))

    def _delete_if_over(self, meeting: Meeting) -> Deletion:
        if meeting.row.native_id is None:  # deleted before
            return Deletion(meeting.row, (), {})
        if meeting.row.status not in OVER:
            raise NotOver
        return self._delete(meeting)

    def _delete(self, meeting: Meeting) -> Deletion:
        self.deleted.add((meeting.row.owner_id, meeting.row.platform, meeting.row.native_id or "-"))
        return meeting.delete()
