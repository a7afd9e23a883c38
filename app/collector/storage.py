"""What the process and the API need of a store; `app/collector/store` is the one on a database.

Each method is one transaction. `now_ms` is stream time: the time up to which the streams were read.
Every method raises DatabaseAway if the database does not answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from app.collector.facts import Entry
from app.collector.rows import ApiKey, Applied, Deletion, Hit, MeetingRow, Page, SegmentRow, SessionRow


class Storage(Protocol):
    """Meetings, their segments, and the keys of their readers."""

    async def close(self) -> None:
        """Close all connections."""
        ...

    async def ping(self) -> None:
        """Ask the database for a sign of life."""
        ...

    # Writing.

    async def apply(self, entries: Sequence[Entry]) -> Applied:
        """Store entries; entries that were stored before change nothing."""
        ...

    async def promote_drafts(self, *, now_ms: int, older_than_s: float) -> Applied:
        """Make drafts final that got no news for so long, or whose session is over."""
        ...

    async def end_meetings(self, *, now_ms: int, idle_s: float) -> Applied:
        """Complete the meetings that have been silent for so long."""
        ...

    async def end_meeting(self, meeting_id: int, *, now_ms: int, status: str = "completed") -> Applied:
        """Complete one meeting; an unknown one changes nothing."""
        ...

    async def recheck_complete(self, *, now_ms: int) -> int:
        """Look again for finals that a session counted and that are not here; return how many are missing."""
        ...

    async def patch_meeting(self, meeting_id: int, data: Mapping[str, Any], *, now_ms: int) -> MeetingRow:
        """Change what people add to a meeting."""
        ...

    async def delete_meeting(
        self, owner_id: int, platform: str, native_id: str, *, meeting_id: int | None, now_ms: int
    ) -> Deletion | None:
        """Delete a meeting's texts; None if there is no such meeting.

        Raises:
            NotOver: it is still active.
        """
        ...

    async def delete_meeting_by_id(self, owner_id: int, meeting_id: int, *, now_ms: int) -> Deletion | None:
        """The same for the meeting with this number.

        Raises:
            NotOver: it is still active.
        """
        ...

    async def expire(self, *, now_ms: int, retention_days: int, limit: int) -> tuple[Deletion, ...]:
        """Delete up to `limit` meetings that ended so long ago."""
        ...

    async def checkpoint(self) -> None:
        """Empty the database's log, which may hold deleted text."""
        ...

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
        """Add a key of the read API."""
        ...

    # Reading.

    async def key(self, sha256: str, *, now_ms: int) -> ApiKey | None:
        """The key with this hash, unless it has expired."""
        ...

    async def has_keys(self, *, now_ms: int) -> bool:
        """Is there a key that has not expired?"""
        ...

    async def meeting(
        self, owner_id: int, platform: str, native_id: str, *, meeting_id: int | None = None
    ) -> MeetingRow | None:
        """The newest meeting of a room that was not deleted."""
        ...

    async def meeting_by_id(self, owner_id: int, meeting_id: int) -> MeetingRow | None:
        """One meeting of an owner."""
        ...

    async def meetings(
        self, owner_id: int, *, status: str | None, platform: str | None, limit: int, offset: int, cursor: str | None
    ) -> Page[MeetingRow]:
        """An owner's meetings, newest first."""
        ...

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
        """A meeting's segments in reading order; with `since_seq` also deleted ones, so that readers remove them."""
        ...

    async def sessions(self, meeting_id: int) -> tuple[SessionRow, ...]:
        """A meeting's sessions."""
        ...

    async def seqs(self, meeting_ids: Collection[int]) -> dict[int, int]:
        """The `seq` of each of these meetings."""
        ...

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
        """An owner's segments that match."""
        ...
