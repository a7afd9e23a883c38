"""What the engine tells the process around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def ignore(*_: object) -> None:
    """For what nobody listens to."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Each is called from any thread.

    Attributes:
        critical: with the reason, when this process can serve no more; at once if that is so already.
        batch: with the kind and the rows of every call of the model.
        skipped: for each window of silence or steady sound, which is not decoded.
        suppressed: with the reason for each segment that is not given out.
    """

    critical: Callable[[str], None] = ignore
    batch: Callable[[str, int], None] = ignore
    skipped: Callable[[], None] = ignore
    suppressed: Callable[[str], None] = ignore
