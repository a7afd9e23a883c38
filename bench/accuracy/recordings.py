"""Recordings with reference texts: a folder's `manifest.json`, grouped by kind of speech."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NON_SPEECH = "non-speech"
OTHER = "other"
DIGITS = "digits"
OTHER_LANGUAGES = "other languages"
# The first pattern found in the manifest's `kind` decides: "long, read" is a long talk, "short, read" read speech.
GROUPS = (
    ("whisper", "whisper, falsetto"),
    ("falsetto", "whisper, falsetto"),
    ("short command", "short commands"),
    ("long", "long talks"),
    ("meeting", "meetings, calls"),
    ("phone call", "meetings, calls"),
    ("in turns", "meetings, calls"),
    ("conversational", "conversation"),
    ("digits,", DIGITS),
    ("read", "read speech"),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One file and what is said in it.

    Attributes:
        text: the reference; empty if the recording holds no speech.
        language: ISO 639-1 code; None if the recording holds no speech.
        group: kind of speech, the rows of a report.
    """

    path: Path
    text: str
    language: str | None
    duration_s: float
    group: str

    @property
    def has_speech(self) -> bool:
        """Whether there is a reference to compare with."""
        return bool(self.text)

    @property
    def counts(self) -> bool:
        """Whether its words count in the total: English speech."""
        return self.has_speech and self.language == "en"


def recordings_in(folder: Path) -> list[Recording]:
    """Every recording of a folder's manifest.

    `manifest.json` is a list of objects with `file`, `text`, `language`, `seconds` (or `duration_s`) and,
    optionally, `kind`.

    Raises:
        OSError: there is no manifest.
        KeyError: an entry lacks a field.
    """
    listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return [_recording(folder, entry) for entry in listed]


def group_of(kind: str, *, text: str, language: str | None) -> str:
    """The group of a recording, from the manifest's `kind`."""
    if not text:
        return NON_SPEECH
    if language != "en":
        return OTHER_LANGUAGES
    return next((group for pattern, group in GROUPS if pattern in kind.lower()), OTHER)


def _recording(folder: Path, entry: dict[str, Any]) -> Recording:
    text, language = entry["text"] or "", entry["language"]
    return Recording(
        path=folder / entry["file"],
        text=text,
        language=language if text else None,
        duration_s=float(entry["seconds"] if "seconds" in entry else entry["duration_s"]),
        group=group_of(entry.get("kind", ""), text=text, language=language),
    )
