from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.errors import Overloaded
from app.memory import FREE_BYTES, AudioMemory, Claim, available_bytes


def test_all_together_have_a_bound():
    """The second is refused what would be too much, keeps what it has, and gets it when the first has gone."""
    memory = AudioMemory(100)
    first, second = Claim(memory), Claim(memory)
    first.hold(FREE_BYTES + 60)
    second.hold(FREE_BYTES + 40)
    with pytest.raises(Overloaded) as refused:
        second.hold(FREE_BYTES + 41)
    assert refused.value.retry_after_s >= 1
    assert memory.held_bytes == 100
    first.release()
    second.hold(FREE_BYTES + 41)
    assert memory.held_bytes == 41


def test_a_minute_is_never_refused():
    """Short audio passes, however full it is."""
    memory = AudioMemory(0)
    Claim(memory).hold(FREE_BYTES + 10)
    Claim(memory).hold(FREE_BYTES)
    assert memory.held_bytes == 10


def test_who_is_alone_may_hold_more():
    """A file over the bound goes on if nobody else holds anything: no wait would help it."""
    memory = AudioMemory(10)
    alone = Claim(memory)
    alone.hold(FREE_BYTES + 50)
    alone.hold(FREE_BYTES + 500)
    assert memory.held_bytes == 500


def test_a_containers_limit_counts(tmp_path: Path):
    """The limit if there is one, else all of the machine's memory."""
    file = tmp_path / "memory.max"
    file.write_text("1048576\n", encoding="ascii")
    assert available_bytes(file) == 1_048_576
    file.write_text("max\n", encoding="ascii")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert available_bytes(file) == available_bytes(tmp_path / "none") == machine
