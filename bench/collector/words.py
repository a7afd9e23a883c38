"""Meetings whose every final is one numbered word, so that a lost, doubled or misplaced one is visible. Pure.

The entries have the form that the live gateway writes; see docs/collector.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.contracts.collector import iso_z

SECONDS_PER_WORD = 2


@dataclass(frozen=True, slots=True)
class Talk:
    """One session of one meeting.

    Attributes:
        meeting: the meeting's number in the collector.
        start_ms: Unix ms of second 0.
    """

    meeting: int
    start_ms: int
    session: int = 0
    token: str | None = None

    @property
    def connection_id(self) -> str:
        """Unique among all sessions."""
        return f"m{self.meeting}s{self.session}"

    def word(self, number: int) -> str:
        """The text of the final with this number, such as `m17s2w00041`."""
        return f"{self.connection_id}w{number:05d}"

    def start(self) -> dict[str, Any]:
        """The entry with which the session starts."""
        at = iso_z(self.start_ms)
        return {"type": "session_start", **self._identity(), "start_timestamp": at, "start_time": at, "gateway": "g"}

    def final(self, number: int) -> dict[str, Any]:
        """The entry with this final."""
        return {"type": "transcription", **self._identity(), "segments": [self.segment(number)]}

    def segment(self, number: int) -> dict[str, Any]:
        """The final itself."""
        start_s = float(number * SECONDS_PER_WORD)
        end_s = start_s + SECONDS_PER_WORD - 0.1
        return {
            "segment_id": f"{self.connection_id}:{number}",
            "seq": number,
            "start": start_s,
            "end": end_s,
            "text": f" {self.word(number)}",
            "language": "en",
            "completed": True,
            "speaker": None,
            "absolute_start_time": iso_z(self.start_ms + round(start_s * 1000)),
            "absolute_end_time": iso_z(self.start_ms + round(end_s * 1000)),
        }

    def end(self, count: int) -> dict[str, Any]:
        """The entry with which the session ends, after so many finals."""
        last_ms = self.start_ms + count * SECONDS_PER_WORD * 1000
        return {
            "type": "session_end",
            **self._identity(),
            "end_timestamp": iso_z(last_ms),
            "final_count": count,
            "ending": "end_of_audio",
        }

    def _identity(self) -> dict[str, Any]:
        uid = f"uid-{self.connection_id}"
        named = {
            "platform": "google_meet",
            "meeting_id": self.meeting,
            "uid": uid,
            "session_uid": uid,
            "connection_id": self.connection_id,
        }
        return named if self.token is None else {"token": self.token, **named}


def differences(expected: Mapping[int, Sequence[str]], found: Mapping[int, Sequence[str]]) -> list[str]:
    """What is wrong with transcripts: words that are lost, doubled, unknown or out of order, by meeting.

    Args:
        expected: the words of each meeting in the order in which they were said.
        found: the texts that the collector shows.
    """
    problems = []
    for meeting in sorted({*expected, *found}):
        said, shown = list(expected.get(meeting, ())), list(found.get(meeting, ()))
        counts = Counter(shown)
        lost = [word for word in said if word not in counts]
        doubled = [word for word, count in counts.items() if count > 1]
        unknown = sorted(counts.keys() - set(said))
        for name, words in (("lost", lost), ("doubled", doubled), ("unknown", unknown)):
            if words:
                problems.append(f"meeting {meeting}: {len(words)} {name}, such as {words[:3]}")
        if not (lost or doubled or unknown) and said != shown:
            problems.append(f"meeting {meeting}: out of order")
    return problems
