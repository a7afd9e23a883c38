"""Which file the Accept header asks for. Pure.

Source: RFC 9110, 12.5.1.
"""

from __future__ import annotations

from typing import Final

from app.collector.render.export import ExportFormat

_FILES: Final[dict[str, ExportFormat]] = {
    "application/x-subrip": "srt",
    "text/srt": "srt",
    "text/vtt": "vtt",
    "text/plain": "txt",
}


def asked_file(accept: str) -> ExportFormat | None:
    """The file that is preferred over JSON.

    None if JSON is as good, and for wildcards, which most programs send: they get the transcript itself.
    """
    best: ExportFormat | None = None
    best_weight = json_weight = 0.0
    for each in accept[:1000].split(","):
        media_type, *options = (part.strip().lower() for part in each.split(";"))
        weight = _weight(options)
        if media_type == "application/json":
            json_weight = max(json_weight, weight)
        elif media_type in _FILES and weight > best_weight:
            best, best_weight = _FILES[media_type], weight
    return best if best_weight > json_weight else None


def _weight(options: list[str]) -> float:
    for option in options:
        if option.startswith("q="):
            try:
                return min(max(float(option[2:]), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
