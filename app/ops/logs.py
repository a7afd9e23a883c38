"""Logging for every process: one event per line, as JSON for machines or as text for people.

Fields are passed as `extra={"fields": {...}}`. They never hold what a user said or sent, nor a key.
JSON escapes the values, and everything else is escaped here, so that a line break or a terminal
sequence in a client's input cannot forge a line. Lines of a request that belongs to a trace carry its `trace_id`,
and JSON lines say which process of which version wrote them.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from app.ops import trace_context
from app.ops.version import VERSION

# Characters that move a cursor or start a line: C0 and C1 controls, and Unicode's two line separators.
_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
# Libraries that log every request or connection at INFO, or what is written to a database at DEBUG.
_NOISY: Final = (
    "httpx",
    "httpx2",
    "httpcore",
    "faster_whisper",
    "uvicorn",
    "asyncio",
    "huggingface_hub",
    "websockets",
    "aiosqlite",
    "alembic",
    "psycopg",
    "redis",
    "sqlalchemy",
)


class JsonFormatter(logging.Formatter):
    """`{"ts", "level", "logger", "event", ...fields}`, one object per line.

    Args:
        process: what every line says of the process.
    """

    def __init__(self, process: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One record as one JSON object."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **self._process,
            **trace_context.log_fields(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class TextFormatter(logging.Formatter):
    """`12:00:00 INFO event key=value`, for a terminal; a traceback is indented below its event."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line, followed by its traceback if there is one."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        known = {**getattr(record, "fields", {}), **trace_context.log_fields()}
        fields = "".join(f" {key}={json.dumps(value, default=str)}" for key, value in known.items())
        line = f"{at} {record.levelname:<7} {record.getMessage().translate(_ESCAPES)}{fields}"
        trace = self.formatException(record.exc_info).splitlines() if record.exc_info else []
        return "\n    ".join([line, *(each.translate(_ESCAPES) for each in trace)])


def configure(*, level: str, style: str, service: str, worker_id: str | None = None) -> None:
    """Send every logger of the process to standard error in one format.

    Args:
        level: the lowest level that is logged, such as "info".
        style: "json", "text", or "auto": text on a terminal, otherwise JSON.
        service: the kind of this process, such as "stt-worker"; with the version in every JSON line.
        worker_id: added to every JSON line; None adds nothing.
    """
    if style == "auto":
        style = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler(sys.stderr)
    process = {"service": service, "version": VERSION, **({} if worker_id is None else {"worker_id": worker_id})}
    handler.setFormatter(JsonFormatter(process) if style == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns about every malformed body, which the access log and the client's 400 report already.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
