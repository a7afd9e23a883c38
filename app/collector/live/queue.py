"""What waits to be sent to one client, within bounds. Pure.

When the queue is full, drafts are dropped: the next ones replace them. If that is not enough, everything is dropped,
and the client is brought up to date from the store once it reads again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_FRAMES: Final = 256
MAX_CHARACTERS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """A frame, ready to be sent.

    Attributes:
        seq: where the reader of the meeting is once it has this.
        passing: it may be dropped: drafts, and what others tell about a meeting.
    """

    meeting_id: int
    text: str
    seq: int
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """Meetings of which something was dropped: frames that must be read again, or only drafts."""

    frames: frozenset[int] = frozenset()
    drafts: frozenset[int] = frozenset()


_NOTHING: Final = Dropped()


class ClientQueue:
    """Frames of all meetings that one client follows, in order."""

    def __init__(self, *, max_frames: int = MAX_FRAMES, max_characters: int = MAX_CHARACTERS) -> None:
        self._max_frames = max_frames
        self._max_characters = max_characters
        self._items: deque[Item] = deque()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> Dropped:
        """Add a frame, and drop others if there is no room; one frame alone always fits."""
        if self._has_room(item):
            self._add(item)
            return _NOTHING
        drafts = self._keep(lambda each: not each.passing)
        if self._has_room(item):
            self._add(item)
            return Dropped(drafts=drafts)
        if item.passing:
            return Dropped(drafts=drafts | {item.meeting_id})
        return Dropped(frames=self._keep(lambda _: False) | {item.meeting_id}, drafts=drafts)

    def pop(self) -> Item | None:
        """Take the oldest frame; None if there is none."""
        if not self._items:
            return None
        item = self._items.popleft()
        self._characters -= len(item.text)
        return item

    def forget(self, meeting_id: int) -> None:
        """Drop the frames of a meeting that the client follows no longer."""
        self._keep(lambda each: each.meeting_id != meeting_id)

    def _has_room(self, item: Item) -> bool:
        if not self._items:
            return True
        return len(self._items) < self._max_frames and self._characters + len(item.text) <= self._max_characters

    def _add(self, item: Item) -> None:
        self._items.append(item)
        self._characters += len(item.text)

    def _keep(self, wanted: Callable[[Item], bool]) -> frozenset[int]:
        """Drop what is not wanted; return its meetings."""
        dropped = frozenset(each.meeting_id for each in self._items if not wanted(each))
        self._items = deque(each for each in self._items if wanted(each))
        self._characters = sum(len(each.text) for each in self._items)
        return dropped
