"""Write SRT and WebVTT from timed text. Pure.

Cues start in ascending order, last at least a millisecond and hold no blank line: players drop or misread others.
Source: SRT as OpenAI lays it out; W3C WebVTT for cue text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from app.core.times import span_ms

_ARROW: Final = re.compile(r"-{2,}>")
_CONTROLS: Final = {**dict.fromkeys([*range(0x20), 0x7F]), ord("\t"): " "}


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


def srt(segments: Iterable[TimedText]) -> str:
    """Return the segments as a SubRip file; empty if none has text."""
    cues = [
        # SRT has no escapes, so an arrow in the text is shortened
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{_ARROW.sub('->', cue.text)}"
        for number, cue in enumerate(_cues(segments), start=1)
    ]
    return "\n\n".join(cues) + "\n\n\n" if cues else ""


def vtt(segments: Iterable[TimedText]) -> str:
    """Return the segments as a WebVTT file; only its header if none has text."""
    cues = (
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{_escape_vtt(cue.text)}\n\n"
        for cue in _cues(segments)
    )
    return "WEBVTT\n\n" + "".join(cues)


def _cues(segments: Iterable[TimedText]) -> Iterator[_Cue]:
    """Yield a cue for each segment that has text, in an order that every player accepts."""
    earliest_ms = 0
    for segment in segments:
        # a blank line would end the cue, so only lines with text are kept
        lines = (line.translate(_CONTROLS).strip() for line in segment.text.splitlines())
        text = "\n".join(filter(None, lines))
        if not text:
            continue
        start_ms, end_ms = span_ms(segment.start, segment.end)
        start_ms = max(start_ms, earliest_ms)
        yield _Cue(start_ms, max(end_ms, start_ms + 1), text)
        earliest_ms = start_ms


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{ms:03d}"


def _escape_vtt(text: str) -> str:
    # "&" and "<" begin markup in a cue, "-->" ends it; a lone ">" is allowed and stays readable
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("-->", "--&gt;")
