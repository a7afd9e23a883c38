"""What keeps deleted text from coming back: entries that are still in a stream when their meeting is deleted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

KEPT_MS: Final = 7 * 86_400_000
SESSION, UID, ROOM = "session", "uid", "room"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Entries with this key are refused if their revision lies within the times (Unix ms)."""

    kind: str
    key_hash: str
    from_ms: int
    to_ms: int
    until_ms: int

    def refuses(self, rev_ms: int) -> bool:
        """Whether it refuses an entry of this time."""
        return self.from_ms <= rev_ms <= self.to_ms


def room_hash(owner_id: int, platform: str, native_id: str) -> str:
    """Stands for a room where its name must not be kept."""
    return _hash(ROOM, str(owner_id), platform, native_id)


def session_hash(native_hash: str, session_key: str) -> str:
    """Stands for a session of a room."""
    return _hash(SESSION, native_hash, session_key)


def uid_hash(uid: str) -> str:
    """Stands for the session that speaker events belong to."""
    return _hash(UID, uid)


def is_refused(tombstones: Mapping[str, Iterable[Tombstone]], key_hash: str, rev_ms: int) -> bool:
    """Whether one of the tombstones, by hash, refuses an entry."""
    return any(each.refuses(rev_ms) for each in tombstones.get(key_hash, ()))


def _hash(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()
