from __future__ import annotations

import pytest

from app.collector.live.gaps import next_step


@pytest.mark.parametrize(
    ("prev_seq", "seq", "step"),
    [
        (5, 6, "take"),
        (5, 5, "take"),  # not the last frame of its change
        (4, 5, "drop"),
        (3, 3, "drop"),
        (6, 7, "read"),
        (4, 8, "read"),  # a change that the reader has half of
    ],
)
def test_a_reader_at_5(prev_seq: int, seq: int, step: str):
    """It takes what follows, drops what it has, and reads the store when something is missing."""
    assert next_step(5, prev_seq=prev_seq, seq=seq) == step
