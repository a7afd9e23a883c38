"""What waits to be published, and what was published recently. Pure.

Entries wait in the order in which they came, and of drafts only the newest of each session. What Redis took in the
last two minutes is kept, because a Redis that restarts may have lost it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from app.live.publish.payloads import LiveFrame, StreamEntry

MAX_ENTRIES = 50_000  # about 50 MB
MAX_RECENT = 50_000
RECENT_S = 120.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry and when it came; the frame goes out with it, once."""

    entry: StreamEntry
    since_s: float
    frame: LiveFrame | None = None


class Backlog:
    """Entries and drafts that Redis has not taken yet."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._waiting: deque[Waiting] = deque()
        self._frames: dict[str, tuple[LiveFrame, ...]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_frames(self) -> bool:
        """Are there drafts to show?"""
        return bool(self._frames)

    def put(self, waiting: Waiting) -> int:
        """Add an entry; returns how many of the oldest had to be dropped for it."""
        self._waiting.append(waiting)
        return self._shrink()

    def show(self, connection_id: str, frames: tuple[LiveFrame, ...]) -> None:
        """Show these drafts of a session instead of those not sent yet."""
        self._frames.pop(connection_id, None)
        self._frames[connection_id] = frames

    def take(self, count: int) -> list[Waiting]:
        """Remove the oldest entries, at most `count`."""
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]

    def put_back(self, taken: Sequence[Waiting]) -> int:
        """Return entries that were not published to their place; returns how many had to be dropped."""
        self._waiting.extendleft(reversed(taken))
        return self._shrink()

    def take_frames(self) -> list[LiveFrame]:
        """Remove all drafts. Those of a session belong after its entries, so only when no entry waits."""
        if self._waiting:
            return []
        frames = [frame for frames in self._frames.values() for frame in frames]
        self._frames.clear()
        return frames

    def _shrink(self) -> int:
        excess = max(0, len(self._waiting) - self._max_entries)
        for _ in range(excess):
            self._waiting.popleft()
        return excess


class Recent:
    """What Redis took in the last two minutes before it last answered, and the starts of all open sessions."""

    def __init__(self) -> None:
        self._taken: deque[tuple[float, StreamEntry]] = deque(maxlen=MAX_RECENT)
        self._open: dict[str, StreamEntry | None] = {}

    def opened(self, connection_id: str) -> None:
        """A session begins: its start is kept as long as it is open."""
        self._open[connection_id] = None

    def closed(self, connection_id: str) -> None:
        """The session is over: its start is kept as long as any other entry."""
        self._open.pop(connection_id, None)

    def add(self, entries: Sequence[StreamEntry], now_s: float) -> None:
        """Redis has taken these entries."""
        for entry in entries:
            self._taken.append((now_s, entry))
            if entry.kind == "session_start" and entry.connection_id in self._open:
                self._open[entry.connection_id] = entry

    def answered(self, now_s: float) -> None:
        """Redis has answered: older entries are safe in its file or read."""
        while self._taken and self._taken[0][0] < now_s - RECENT_S:
            self._taken.popleft()

    def entries(self) -> list[StreamEntry]:
        """Everything to send again to a Redis that may be empty: starts first."""
        taken = [entry for _, entry in self._taken]
        known = {id(entry) for entry in taken}
        starts = [start for start in self._open.values() if start is not None and id(start) not in known]
        return starts + taken
