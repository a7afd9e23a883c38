"""Compare the finals that live clients received with those that the collector stored. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.disturbances import Disturbances

# A killed gateway loses what Redis had not answered yet: "a few milliseconds of text", docs/live.md. A client gets
# its message at about the same time; the rest of this second is the delay of a loaded machine.
LOST_WITH_GATEWAY_S = 1.0


@dataclass(frozen=True, slots=True)
class Final:
    """A final segment of a session, as the client or the collector has it; times as text, to the millisecond."""

    session: str
    start: str
    end: str
    text: str


@dataclass(frozen=True, slots=True)
class Received:
    """A final that a client received, and when."""

    final: Final
    at_s: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The finals of all sessions.

    Attributes:
        received: that clients received.
        stored: that the collector has; at least those, because a client may leave before it gets its text.
        lost: received, promised to be stored, and not stored.
        unpromised: not stored, of a gateway that was killed within the second after.
        doubled: stored more than once.
    """

    received: int
    stored: int
    lost: tuple[Final, ...]
    unpromised: int
    doubled: tuple[Final, ...]


def final_of(session: str, start: float | str, end: float | str, text: str) -> Final:
    """Return a final in the form that is compared."""
    return Final(session, f"{float(start):.3f}", f"{float(end):.3f}", text.strip())


def compare(received: Sequence[Received], stored: Iterable[Final], faults: Disturbances) -> Comparison:
    """Compare what was received with what is stored."""
    counted = Counter(stored)
    missing = [each for each in received if each.final not in counted]
    excused = [each for each in missing if faults.killed("gateway", each.at_s - 0.1, each.at_s + LOST_WITH_GATEWAY_S)]
    return Comparison(
        received=len(received),
        stored=sum(counted.values()),
        lost=tuple(each.final for each in missing if each not in excused),
        unpromised=len(excused),
        doubled=tuple(final for final, count in counted.items() if count > 1),
    )
