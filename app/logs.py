"""Logs: one event a line, as JSON for machines or as text for people; nobody's words, nobody's key.

Fields travel in `extra={"fields": {...}}`. Values are escaped by JSON, so a newline or a terminal
sequence in a file name cannot forge a second line.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


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
    """`12:00:00 INFO event key=value`, for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line, an exception below it."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = "".join(
            f" {key}={json.dumps(value, default=str)}" for key, value in getattr(record, "fields", {}).items()
        )
        line = f"{at} {record.levelname:<7} {record.getMessage()}{fields}"
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


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


def _name_worker(record: logging.LogRecord, worker_id: str) -> bool:
    record.__dict__["fields"] = {"worker_id": worker_id, **getattr(record, "fields", {})}
    return True
