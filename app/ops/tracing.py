"""Spans: what a server records of its requests. `tracing_otel` sends them; without it a trace is passed on as it came.

Times are those of `time.monotonic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol

from app.ops.trace_context import TraceContext

Kind = Literal["internal", "server", "client"]
Attributes = Mapping[str, str | int | float | bool]
NO_ATTRIBUTES: Final[Attributes] = {}


class Span(Protocol):
    """One piece of work. Attributes never hold what somebody said or sent, nor a key."""

    @property
    def context(self) -> TraceContext | None:
        """What other servers get, so that their spans become its children; None outside of a trace."""

    @property
    def recording(self) -> bool:
        """False if nobody will see it: then attributes and children are wasted work."""

    def child(
        self,
        name: str,
        *,
        kind: Kind = "internal",
        attributes: Attributes = NO_ATTRIBUTES,
        started_s: float | None = None,
        link: TraceContext | None = None,
    ) -> Span:
        """Begin a part of this work, now or at `started_s`; `link` names a related span of another trace."""

    def describe(self, attributes: Attributes, *, name: str | None = None) -> None:
        """Add attributes, and rename it if there is a better name by now."""

    def end(self, *, error: str | None = None, ended_s: float | None = None) -> None:
        """End it, now or at `ended_s`; `error` is the kind of its failure."""


class Tracer(Protocol):
    """Starts the spans of a process; safe to call from any thread."""

    def start(
        self, name: str, *, parent: TraceContext | None, kind: Kind, attributes: Attributes = NO_ATTRIBUTES
    ) -> Span:
        """Begin a span: a part of the caller's trace, or of a new one."""

    def close(self) -> None:
        """Send what is left, but do not wait long for it."""


class PassedOn:
    """The span of work that is not recorded: its callers' trace goes on through it."""

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context
        self.recording = False

    def child(self, name: str, **_: object) -> PassedOn:  # noqa: ARG002 - the seam's signature
        """The same trace."""
        return self

    def describe(self, attributes: Attributes, *, name: str | None = None) -> None:
        """Nobody will see it."""

    def end(self, *, error: str | None = None, ended_s: float | None = None) -> None:
        """Nobody will see it."""


NO_SPAN: Final = PassedOn(None)


class NoTracer:
    """Records nothing."""

    def start(self, name: str, *, parent: TraceContext | None, **_: object) -> Span:  # noqa: ARG002 - as above
        """The caller's trace, if there is one."""
        return PassedOn(parent)

    def close(self) -> None:
        """Nothing is left."""


NO_TRACER: Final[Tracer] = NoTracer()
