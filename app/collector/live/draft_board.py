"""Which drafts of a meeting are shown, so that text neither flickers away nor stands twice. Pure.

A draft of our gateway says how many finals came before it. It is held back until the last of them was shown, for at
most a second, and disappears with the final that takes its place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.collector.live.draft_message import Drafts, Segment

HOLD_S: Final = 1.0
EXPIRE_S: Final = 60.0  # a producer that died says nothing more
REMEMBERED_FINALS: Final = 512


@dataclass(slots=True)
class _Session:
    """The drafts of one connection.

    Attributes:
        n_finals: so many of its finals are known to be shown.
        held: newer drafts that wait for a final.
    """

    n_finals: int = 0
    shown: Drafts | None = None
    news_s: float = 0.0
    held: Drafts | None = None
    held_since_s: float = 0.0


class DraftBoard:
    """The drafts of one meeting as one reader sees them."""

    def __init__(self) -> None:
        self._rows: dict[str, Segment] = {}
        self._sessions: dict[str, _Session] = {}
        self._bundles: dict[str | None, tuple[tuple[Segment, ...], float]] = {}
        self._finals: OrderedDict[str, None] = OrderedDict()

    def follow(self, connection_id: str) -> None:
        """Drafts of this connection may come."""
        self._sessions.setdefault(connection_id, _Session())

    def confirm(self, segments: Iterable[Segment]) -> None:
        """These finals of the store are shown."""
        for segment in segments:
            self._gone(segment["segment_id"])
            connection_id, _, n = segment["segment_id"].rpartition(":")
            session = self._sessions.get(connection_id)
            if session is not None and n.isascii() and n.isdecimal():
                self._final(session, int(n))

    def stored(self, segments: Iterable[Segment]) -> None:
        """These drafts of the store are shown."""
        self._rows.update({segment["segment_id"]: segment for segment in segments})

    def retract(self, segment_ids: Iterable[str]) -> None:
        """These segments are gone."""
        for each in segment_ids:
            self._gone(each)

    def session(self, drafts: Drafts, *, now_s: float) -> None:
        """Take the newest drafts of a connection; those of a connection that is not followed are ignored."""
        session = self._sessions.get(drafts.connection_id)
        if session is None:
            return
        session.news_s = now_s
        if drafts.after > session.n_finals:
            if session.held is None or session.held.after != drafts.after:
                session.held_since_s = now_s
            session.held = drafts
        else:
            session.held = None
            session.shown = drafts if drafts.after == session.n_finals else None  # else a final holds this text

    def bundle(self, speaker: str | None, segments: Iterable[Segment], *, now_s: float) -> None:
        """Take what a bot says of a speaker; what the store has is left out."""
        kept = tuple(each for each in segments if each["segment_id"] not in self._finals)
        self._bundles[speaker] = (kept, now_s)

    def tick(self, now_s: float) -> None:
        """Show what was held back for a second, and remove drafts without news for a minute."""
        for session in self._sessions.values():
            if session.held is not None and now_s - session.held_since_s >= HOLD_S:
                self._show(session, session.held.after)
            if now_s - session.news_s >= EXPIRE_S:
                session.shown = None
        self._bundles = {who: each for who, each in self._bundles.items() if now_s - each[1] < EXPIRE_S}

    def pending(self) -> dict[str | None, list[Segment]]:
        """All drafts that are shown, by speaker; a speaker without drafts is not there."""
        found: dict[str, Segment] = dict(self._rows)
        for session in self._sessions.values():
            found.update((each["segment_id"], each) for each in (session.shown.segments if session.shown else ()))
        for segments, _ in self._bundles.values():
            for each in segments:
                found.setdefault(each["segment_id"], each)
        by_speaker: dict[str | None, list[Segment]] = {}
        for each in found.values():
            by_speaker.setdefault(each["speaker"], []).append(each)
        return by_speaker

    def _gone(self, segment_id: str) -> None:
        self._rows.pop(segment_id, None)
        self._finals[segment_id] = None
        if len(self._finals) > REMEMBERED_FINALS:
            self._finals.popitem(last=False)
        for speaker, (segments, at_s) in self._bundles.items():
            self._bundles[speaker] = (tuple(each for each in segments if each["segment_id"] != segment_id), at_s)

    def _final(self, session: _Session, n: int) -> None:
        session.n_finals = max(session.n_finals, n + 1)
        if session.held is not None and session.held.after <= session.n_finals:
            self._show(session, session.n_finals)
        elif session.shown is not None and session.shown.after <= n:
            session.shown = None

    @staticmethod
    def _show(session: _Session, n_finals: int) -> None:
        """Show the held drafts, unless a final holds their text already."""
        held, session.held, session.n_finals = session.held, None, n_finals
        session.shown = held if held is not None and held.after == n_finals else None
