"""A transcript as a file: JSON, SRT, WebVTT or text, piece by piece. Pure.

Files hold finals only. A writer is fed rows in reading order and returns text after each, so that a long transcript
is never in memory as a whole.
Source of the text format: Vexa's shared transcripts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

from app.collector.render.bodies import iso, segment_json, transcript_head_json
from app.collector.rows import MeetingRow, SegmentRow
from app.core.subtitles import SrtWriter, VttWriter

ExportFormat = Literal["json", "srt", "vtt", "txt"]
MEDIA_TYPES: Final[dict[ExportFormat, str]] = {
    "json": "application/json",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_FILE_NAME: Final = 100


class Writer(Protocol):
    """Writes one file."""

    def begin(self) -> str:
        """Return what comes before the first segment."""

    def segment(self, row: SegmentRow) -> str:
        """Return the piece of one final."""

    def end(self) -> str:
        """Return what comes after the last segment."""


@dataclass(frozen=True, slots=True)
class _Timed:
    """A segment on the clock of the whole meeting."""

    start: float
    end: float
    text: str


class _Json:
    def __init__(self, meeting: MeetingRow, _: int | None) -> None:
        self._meeting = meeting
        self._comma = ""

    def begin(self) -> str:
        return _dump(transcript_head_json(self._meeting)).removesuffix("}") + ',"segments":['

    def segment(self, row: SegmentRow) -> str:
        comma, self._comma = self._comma, ","
        return comma + _dump(segment_json(row))

    def end(self) -> str:
        return '],"next_cursor":null}'


class _Srt:
    def __init__(self, _: MeetingRow, zero_ms: int | None) -> None:
        self._writer = SrtWriter()
        self._clock = _Clock(zero_ms)

    def begin(self) -> str:
        return ""

    def segment(self, row: SegmentRow) -> str:
        return self._writer.cue(self._clock.place(row), speaker=row.speaker)

    def end(self) -> str:
        return self._writer.end()


class _Vtt:
    def __init__(self, _: MeetingRow, zero_ms: int | None) -> None:
        self._writer = VttWriter()
        self._clock = _Clock(zero_ms)

    def begin(self) -> str:
        return self._writer.begin()

    def segment(self, row: SegmentRow) -> str:
        return self._writer.cue(self._clock.place(row), speaker=row.speaker)

    def end(self) -> str:
        return ""


class _Text:
    def __init__(self, meeting: MeetingRow, _: int | None) -> None:
        self._meeting = meeting

    def begin(self) -> str:
        meeting = self._meeting
        lines = (
            "MEETING TRANSCRIPT",
            f"Platform: {meeting.platform}",
            f"Meeting ID: {_line(meeting.native_id or '')}",
            f"Start: {'' if meeting.start_ms is None else iso(meeting.start_ms)}",
            f"End: {'' if meeting.end_ms is None else iso(meeting.end_ms)}",
            "---",
        )
        return "".join(f"{line.rstrip()}\n" for line in lines)

    def segment(self, row: SegmentRow) -> str:
        text = _line(row.text)
        spoken = datetime.fromtimestamp(row.abs_start_ms // 1000, UTC)
        return f"[{spoken:%Y-%m-%d %H:%M:%S}] {_line(row.speaker or '') or 'Unknown'}: {text}\n" if text else ""

    def end(self) -> str:
        return ""


class _Clock:
    """Counts from the meeting's first second, so that sessions never interleave."""

    def __init__(self, zero_ms: int | None) -> None:
        self._zero_ms = zero_ms

    def place(self, row: SegmentRow) -> _Timed:
        if self._zero_ms is None:
            self._zero_ms = row.abs_start_ms
        return _Timed((row.abs_start_ms - self._zero_ms) / 1000, (row.abs_end_ms - self._zero_ms) / 1000, row.text)


_WRITERS: Final[dict[ExportFormat, Callable[[MeetingRow, int | None], Writer]]] = {
    "json": _Json,
    "srt": _Srt,
    "vtt": _Vtt,
    "txt": _Text,
}


class Export:
    """One file being written.

    Args:
        zero_ms: Unix ms of the meeting's first second: the first session's start. None: the first segment's start.
    """

    def __init__(self, file_format: ExportFormat, meeting: MeetingRow, *, zero_ms: int | None) -> None:
        self._writer = _WRITERS[file_format](meeting, zero_ms)

    def begin(self) -> str:
        """Return what comes before the first segment."""
        return self._writer.begin()

    def page(self, rows: Iterable[SegmentRow]) -> Iterator[str]:
        """Yield the pieces of rows that follow those of the page before; drafts and deleted rows give none."""
        for row in rows:
            if row.completed and not row.deleted:
                yield self._writer.segment(row)

    def end(self) -> str:
        """Return what comes after the last segment."""
        return self._writer.end()


def export(
    file_format: ExportFormat, meeting: MeetingRow, rows: Iterable[SegmentRow], *, zero_ms: int | None
) -> Iterator[str]:
    """Yield a whole file, piece by piece. The arguments are those of `Export`."""
    writing = Export(file_format, meeting, zero_ms=zero_ms)
    yield writing.begin()
    yield from writing.page(rows)
    yield writing.end()


def content_disposition(meeting: MeetingRow, file_format: ExportFormat) -> str:
    """Return the header that names the file: letters, digits, `_` and `-` only."""
    parts = (_UNSAFE.sub("-", part).strip("-") for part in ("transcript", meeting.platform, meeting.native_id or ""))
    name = "-".join(filter(None, parts))[:_MAX_FILE_NAME] if meeting.native_id else f"transcript-{meeting.id}"
    return f'attachment; filename="{name}.{file_format}"'


def _line(text: str) -> str:
    return " ".join(text.split())


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
