"""Does a frame of the live push follow what a reader has? Pure."""

from __future__ import annotations

from typing import Literal

Step = Literal["take", "drop", "read"]


def next_step(position: int, *, prev_seq: int, seq: int) -> Step:
    """Decide what a reader at `position` does with a frame.

    All frames of one change have the same `prev_seq`, and only the last one raises `seq`: so each of them is taken
    while the reader stands at `prev_seq`.

    Returns:
        `take`: it comes next. `drop`: the reader has it already. `read`: something before it is missing, so the
        reader must read the store again.
    """
    if prev_seq == position:
        return "take"
    return "read" if seq > position else "drop"
