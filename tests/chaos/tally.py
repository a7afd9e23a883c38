"""What became of the requests, by kind. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MOST_EXAMPLES = 20


@dataclass(slots=True)
class Row:
    """The requests of one kind.

    Attributes:
        sent: requests that a client began; one that is sent again counts once.
        ok: answered as they must be: the right transcript, or 4xx for bad input.
        retried: needed more than one try.
        refused: answers 503 and 429 with Retry-After.
        broken: connections that broke because of a fault that explains it; the client tried again.
        hung_up: the client left on purpose.
        wrong: answered, but not as they must be.
        unanswered: not answered in time, or the connection broke for no known reason.
    """

    sent: int = 0
    ok: int = 0
    retried: int = 0
    refused: int = 0
    broken: int = 0
    hung_up: int = 0
    wrong: int = 0
    unanswered: int = 0


@dataclass(slots=True)
class Tally:
    """The rows by kind, and examples of what went wrong."""

    rows: dict[str, Row] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    answers: int = 0  # of the service, whatever they were
    latencies_s: dict[str, list[float]] = field(default_factory=dict)

    def of(self, kind: str) -> Row:
        """Return the row of a kind."""
        return self.rows.setdefault(kind, Row())

    def wrong(self, kind: str, what: str) -> None:
        """Count an answer that is not as it must be."""
        self.of(kind).wrong += 1
        self._keep(f"wrong: {what}")

    def unanswered(self, kind: str, what: str) -> None:
        """Count a request without an answer."""
        self.of(kind).unanswered += 1
        self._keep(f"unanswered: {what}")

    def served(self, kind: str, seconds: float) -> None:
        """Count a request that was answered as it must be."""
        self.of(kind).ok += 1
        self.latencies_s.setdefault(kind, []).append(seconds)

    def total(self) -> Row:
        """Return the sum of all rows."""
        counts: Counter[str] = Counter()
        for row in self.rows.values():
            counts.update({name: getattr(row, name) for name in Row.__slots__})
        return Row(**counts)

    def _keep(self, example: str) -> None:
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(example[:400])
