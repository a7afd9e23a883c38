"""The trace that a request belongs to, as HTTP headers carry it. Pure, and needs no package.

Source: W3C Trace Context, Level 1 (https://www.w3.org/TR/trace-context-1/).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

_FORM: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace_id>[0-9a-f]{32})-(?P<span_id>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_FORBIDDEN_VERSION: Final = "ff"
_OUR_VERSION: Final = "00"
_SAMPLED: Final = 1
# Printable ASCII, as long as everybody has to pass it on; a longer one is left out.
_STATE: Final = re.compile(r"[\x20-\x7e]{1,512}")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits in lower case, not all zero.
        span_id: the caller's part of the trace: 16 such digits.
        sampled: the caller may have recorded its part.
        state: the header `tracestate`, which is passed on as it came; empty without one.
    """

    trace_id: str
    span_id: str
    sampled: bool = False
    state: str = ""


_current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)


def parse(traceparent: str, tracestate: str = "") -> TraceContext | None:
    """Read the headers; None without a valid `traceparent`, which counts as none at all.

    Args:
        traceparent: empty without one. Two of them, joined with a comma, are not valid.
        tracestate: several of them joined with commas.
    """
    match = _FORM.fullmatch(traceparent.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id = match["version"], match["trace_id"], match["span_id"]
    if version == _FORBIDDEN_VERSION or (version == _OUR_VERSION and match["more"] is not None):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    state = tracestate.strip(" \t")
    return TraceContext(
        trace_id,
        span_id,
        sampled=bool(int(match["flags"], 16) & _SAMPLED),
        state=state if _STATE.fullmatch(state) else "",
    )


def headers_of(context: TraceContext | None) -> dict[str, str]:
    """The headers that carry this context to another server; none for None."""
    if context is None:
        return {}
    flags = _SAMPLED if context.sampled else 0
    headers = {"traceparent": f"{_OUR_VERSION}-{context.trace_id}-{context.span_id}-{flags:02x}"}
    return {**headers, "tracestate": context.state} if context.state else headers


def new_context() -> TraceContext:
    """The start of a trace of which this process records nothing."""
    return TraceContext(_random_id(16), _random_id(8))


def _random_id(n_bytes: int) -> str:
    while not (made := secrets.token_hex(n_bytes)).strip("0"):
        pass  # all zero is not valid
    return made


def current() -> TraceContext | None:
    """The trace of the task or thread that asks; None outside of `serving`."""
    return _current.get()


@contextmanager
def serving(context: TraceContext | None) -> Iterator[None]:
    """Let log lines that are written in this block, and in tasks that it starts, carry the trace's id."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def log_fields() -> Mapping[str, object]:
    """The fields of a log line that is written now."""
    context = _current.get()
    return {} if context is None else {"trace_id": context.trace_id}
