"""Write SRT and WebVTT from timed text. Pure.

Cues start in ascending order, last at least a millisecond and hold no blank line: players drop or misread others.
Source: SRT as OpenAI lays it out; W3C WebVTT for cue text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from app.core.times import span_ms

_ARROW: Final = re.compile(r"-{2,}>")
_CONTROLS: Final = {**dict.fromkeys([*range(0x20), 0x7F]), ord("\t"): " "}
_CONTROLS_TO_SPACES: Final = dict.fromkeys(_CONTROLS, " ")


class TimedText(Protocol):
    """A segment of any process: seconds and text."""

    @property
    def start(self) -> float:
        """Start in seconds."""

    @property
    def end(self) -> float:
        """End in seconds."""

    @property
    def text(self) -> str:
        """What was said."""


@dataclass(frozen=True, slots=True)
class _Cue:
    start_ms: int
    end_ms: int
    text: str


class SrtWriter:
    """Writes a SubRip file cue by cue, so that the whole text is never in memory."""

    def __init__(self) -> None:
        self._cues = _Cues()
        self._count = 0

    def cue(self, segment: TimedText, *, speaker: str | None = None) -> str:
        """Return the piece for the next segment, `Alice: ` before its text; empty if it has no text."""
        cue = self._cues.next(segment)
        if cue is None:
            return ""
        label = _one_line(speaker or "")
        # SRT has no escapes, so an arrow in the text is shortened
        text = _ARROW.sub("->", f"{label}: {cue.text}" if label else cue.text)
        gap = "\n\n" if self._count else ""
        self._count += 1
        return f"{gap}{self._count}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{text}"

    def end(self) -> str:
        """Return what follows the last cue."""
        return "\n\n\n" if self._count else ""


class VttWriter:
    """Writes a WebVTT file cue by cue, so that the whole text is never in memory."""

    def __init__(self) -> None:
        self._cues = _Cues()

    def begin(self) -> str:
        """Return the header."""
        return "WEBVTT\n\n"

    def cue(self, segment: TimedText, *, speaker: str | None = None) -> str:
        """Return the piece for the next segment, `<v Alice>` before its text; empty if it has no text."""
        cue = self._cues.next(segment)
        if cue is None:
            return ""
        label = _one_line(speaker or "")
        voice = f"<v {_escape_vtt(label).replace('>', '&gt;')}>" if label else ""
        times = f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}"
        return f"{times}\n{voice}{_escape_vtt(cue.text)}\n\n"


def srt(segments: Iterable[TimedText]) -> str:
    """Return the segments as a SubRip file; empty if none has text."""
    writer = SrtWriter()
    cues = "".join(map(writer.cue, segments))
    return cues + writer.end()


def vtt(segments: Iterable[TimedText]) -> str:
    """Return the segments as a WebVTT file; only its header if none has text."""
    writer = VttWriter()
    return writer.begin() + "".join(map(writer.cue, segments))


class _Cues:
    """Turns segments that have text into cues, in an order that every player accepts."""

    def __init__(self) -> None:
        self._earliest_ms = 0

    def next(self, segment: TimedText) -> _Cue | None:
        # a blank line would end the cue, so only lines with text are kept
        lines = (line.translate(_CONTROLS).strip() for line in segment.text.splitlines())
        text = "\n".join(filter(None, lines))
        if not text:
            return None
        start_ms, end_ms = span_ms(segment.start, segment.end)
        start_ms = max(start_ms, self._earliest_ms)
        self._earliest_ms = start_ms
        return _Cue(start_ms, max(end_ms, start_ms + 1), text)


def _one_line(text: str) -> str:
    return " ".join(text.translate(_CONTROLS_TO_SPACES).split())


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{ms:03d}"


def _escape_vtt(text: str) -> str:
    # "&" and "<" begin markup in a cue, "-->" ends it; a lone ">" is allowed and stays readable
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("-->", "--&gt;")
