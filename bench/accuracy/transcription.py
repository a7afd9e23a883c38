"""What one contender made of one recording. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Transcription:
    """A text and what it cost.

    Attributes:
        cpu_s: CPU time of all threads; None if it cannot be measured.
        n_windows: windows that gave text.
        n_fallbacks: those whose text came from a retry.
    """

    text: str
    wall_s: float
    cpu_s: float | None
    n_windows: int
    n_fallbacks: int


class Piece(Protocol):
    """What the segments of faster-whisper and of the engine have in common."""

    @property
    def text(self) -> str:
        """With its leading space."""

    @property
    def seek(self) -> int:
        """First frame of the window; segments of one window share it."""

    @property
    def temperature(self) -> float:
        """0 if the first try was kept."""


def transcription_of(segments: Iterable[Piece], *, wall_s: float, cpu_s: float | None) -> Transcription:
    """Join segments, and count their windows and the windows that were tried again."""
    listed = list(segments)
    return Transcription(
        text="".join(each.text for each in listed).strip(),
        wall_s=wall_s,
        cpu_s=cpu_s,
        n_windows=len({each.seek for each in listed}),
        n_fallbacks=len({each.seek for each in listed if each.temperature > 0}),
    )
