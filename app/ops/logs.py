"""Logs: one event a line, as JSON for machines or as text for people; nobody's words, nobody's key.

Fields travel in `extra={"fields": {...}}`. Values are escaped by JSON and all else by hand, so a
newline or a terminal sequence in somebody's input cannot forge a line.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

# What moves a cursor or starts a line: C0 and C1 controls, and the two line ends of Unicode.
_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


class JsonFormatter(logging.Formatter):
    """`{"ts", "level", "logger", "event", ...fields}`, one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one JSON object."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class TextFormatter(logging.Formatter):
    """`12:00:00 INFO event key=value`, for a terminal; what follows an event is indented."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line, an exception below it."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = "".join(
            f" {key}={json.dumps(value, default=str)}" for key, value in getattr(record, "fields", {}).items()
        )
        line = f"{at} {record.levelname:<7} {record.getMessage().translate(_ESCAPES)}{fields}"
        trace = self.formatException(record.exc_info).splitlines() if record.exc_info else []
        return "\n    ".join([line, *(each.translate(_ESCAPES) for each in trace)])


def configure(*, level: str, style: str, worker_id: str) -> None:
    """Send every logger of the process to standard error in one format."""
    if style == "auto":
        style = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    if style == "json":
        handler.addFilter(lambda record: _name_worker(record, worker_id))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("httpx", "httpx2", "faster_whisper", "uvicorn", "asyncio", "huggingface_hub"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns of every broken body; the access line and the client's 400 already tell.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def _name_worker(record: logging.LogRecord, worker_id: str) -> bool:
    record.__dict__["fields"] = {"worker_id": worker_id, **getattr(record, "fields", {})}
    return True
