from __future__ import annotations

import pytest

from app.audio.budget import FREE_BYTES, AudioMemory, Claim
from app.core.errors import Overloaded


def test_all_together_have_a_bound():
    """The second is refused what would be too much, keeps what it has, and gets it when the first has gone."""
    memory = AudioMemory(100)
    first, second = Claim(memory), Claim(memory)
    first.hold(FREE_BYTES + 60)
    second.hold(FREE_BYTES + 40)
    with pytest.raises(Overloaded) as refused:
        second.hold(FREE_BYTES + 41)
    assert refused.value.retry_after_s >= 1
    assert memory._held_bytes == 100
    first.release()
    second.hold(FREE_BYTES + 41)
    assert memory._held_bytes == 41


def test_a_minute_is_never_refused():
    """Short audio passes, however full it is."""
    memory = AudioMemory(0)
    Claim(memory).hold(FREE_BYTES + 10)
    Claim(memory).hold(FREE_BYTES)
    assert memory._held_bytes == 10


def test_who_is_alone_may_hold_more():
    """A file over the bound goes on if no other request holds anything: waiting would not help it."""
    memory = AudioMemory(10)
    alone = Claim(memory)
    alone.hold(FREE_BYTES + 50)
    alone.hold(FREE_BYTES + 500)
    assert memory._held_bytes == 500
