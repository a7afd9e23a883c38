from __future__ import annotations

import pytest

from app.collector.facts import Revision


def test_revisions_compare_by_time_then_counter():
    """Numbers, not texts, are compared: entry 10 of a millisecond comes after entry 9."""
    assert Revision.parse("1700000000000-9") < Revision.parse("1700000000000-10") < Revision.parse("1700000000001-0")


def test_a_revision_reads_and_writes_redis_ids():
    """What Redis writes comes back unchanged; a missing counter is 0."""
    assert str(Revision.parse("1700000000000-3")) == "1700000000000-3"
    assert Revision.parse("5") == Revision(5, 0)


@pytest.mark.parametrize("text", ["", "x-1", "1-x", "-"])
def test_other_texts_are_no_revision(text: str):
    """Anything but an id is refused."""
    with pytest.raises(ValueError, match="invalid literal"):
        Revision.parse(text)
