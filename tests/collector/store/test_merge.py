from __future__ import annotations

import pytest

from app.collector.facts import Retract, Segments
from app.collector.store.merge import (
    ARRIVAL,
    EVENT,
    SEGMENTS,
    SILENT,
    VISIBLE,
    Session,
    Tally,
    estimated_start,
    merge_segments,
    offer_start,
    retract,
)
from tests.collector.store.entries import legacy, segment


def session() -> Session:
    """A session whose first entry came at 1000."""
    return Session.new(1, "c1", None, "s", (1000, 0))


def say(one: Session, rev: int, *facts, replaces: bool = False, immutable: bool = False) -> Tally:
    """Merge one entry."""
    tally = Tally()
    merge_segments(one, Segments(facts, replaces_drafts=replaces), (rev, 0), tally, immutable=immutable)
    return tally


def test_equal_content_only_moves_the_revision():
    """Readers see nothing, but an older correction that comes later must lose."""
    one = session()
    say(one, 1, segment("x", 0, 1, "a"))
    one.segments["x"].change = 0
    assert say(one, 5, segment("x", 0, 1, "a")).counts == {"same": 1}
    assert (one.segments["x"].rev, one.segments["x"].change) == ((5, 0), SILENT)
    assert say(one, 3, segment("x", 0, 1, "b")).counts == {"late": 1}


def test_a_final_and_a_draft_of_one_entry_are_the_final():
    """Whichever stands first in the entry."""
    one = session()
    say(one, 1, segment("x", 0, 1, "final"), segment("x", 0, 1, "draft", final=False))
    assert one.segments["x"].completed


def test_a_draft_reopens_a_promoted_one():
    """The producer was only slow; its newer draft must not be lost if it dies now."""
    one = session()
    say(one, 1, segment("x", 0, 1, "a", final=False))
    one.segments["x"].completed = one.segments["x"].promoted = True
    assert say(one, 2, segment("x", 0, 1, "a", final=False)).counts == {"same": 1}
    assert say(one, 3, segment("x", 0, 1, "a b", final=False)).counts == {"update": 1}
    assert not one.segments["x"].completed


def test_an_outdated_set_of_drafts_is_ignored_but_not_its_finals():
    """Finals are true whenever they come."""
    one = session()
    say(one, 5, legacy(100, 200, "new", final=False), replaces=True)
    say(one, 3, legacy(0, 50, "said"), legacy(90, 200, "old", final=False), replaces=True)
    assert {key: row.completed for key, row in one.segments.items()} == {"t:100": False, "t:0": True}


def test_a_retraction_lets_a_newer_final_pass():
    """Only what is older is gone."""
    one = session()
    retract(one, Retract(("x",)), (5, 0))
    say(one, 4, segment("x", 0, 1, "old"))
    assert one.segments["x"].deleted
    say(one, 6, segment("x", 0, 1, "new"))
    assert (one.segments["x"].deleted, one.segments["x"].text) == (False, "new")


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_best_known_start_wins(order: tuple[int, ...]):
    """An event beats an estimate; of events the last, of estimates the first."""
    one = session()
    offers = [(500, ARRIVAL, 900), (600, SEGMENTS, 1100), (700, EVENT, 1200), (800, EVENT, 1300)]
    for index in order:
        start_ms, source, rev = offers[index]
        offer_start(one, start_ms, source, (rev, 0))
    assert (one.start_ms, one.start_source, one.change) == (800, EVENT, VISIBLE)


def test_a_start_is_estimated_from_what_segments_tell():
    """Exactly if a producer gave both times, else from Unix times, else from the arrival."""
    assert estimated_start([segment("x", 1000, 2000, "a", abs_start_ms=51_000)], 99_000) == 50_000
    assert estimated_start([segment("x", None, None, "a", abs_start_ms=51_000)], 99_000) == 51_000
    assert estimated_start([segment("x", 1000, 2000, "a"), segment("y", 2000, 3000, "b")], 99_000) == 96_000
    assert estimated_start([], 99_000) is None
