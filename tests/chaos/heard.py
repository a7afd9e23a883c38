"""What live clients received. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.chaos.finals import Final, Received, final_of

LOST_AUDIO = "s of audio were lost"  # in app/live/session/warnings.py


@dataclass(slots=True)
class Heard:
    """What all live clients received.

    Attributes:
        rooms: the meetings that were used.
        finals: each final once.
        connections: sessions of the clients that talk; more than recordings, because they connected again.
        words, live_errors, file_errors: of what was said; word errors live, and of the same recordings as files.
        warnings: messages of the gateways about lost audio.
    """

    rooms: list[str] = field(default_factory=list)
    finals: dict[Final, Received] = field(default_factory=dict)
    connections: set[str] = field(default_factory=set)
    words: int = 0
    live_errors: int = 0
    file_errors: int = 0
    warnings: list[str] = field(default_factory=list)

    def message(self, message: dict[str, Any], at_s: float) -> None:
        """Keep the finals of a message; messages repeat earlier ones."""
        uid = str(message.get("uid", ""))
        for segment in message.get("segments", ()):
            if segment["completed"]:
                final = final_of(uid, segment["start"], segment["end"], segment["text"])
                self.finals.setdefault(final, Received(final, at_s))
                self.connections.add(uid)

    def compared(self, words: int, *, live: int, as_file: int) -> None:
        """Count the word errors of one recording."""
        self.words += words
        self.live_errors += live
        self.file_errors += as_file

    def notice(self, text: str) -> None:
        """Keep warnings that audio was lost."""
        if LOST_AUDIO in text:
            self.warnings.append(text)
