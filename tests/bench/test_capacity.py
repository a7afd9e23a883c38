from __future__ import annotations

import pytest

from bench.capacity import refused_share, slots_needed


@pytest.mark.parametrize(
    ("erlangs", "slots", "share"), [(1.0, 1, 0.5), (2.0, 2, 0.4), (10.0, 10, 0.2146), (10.0, 18, 0.0071)]
)
def test_the_formula_agrees_with_published_tables(erlangs, slots, share):
    """Erlang B, to the digits of the usual tables."""
    assert refused_share(erlangs, slots) == pytest.approx(share, abs=5e-5)


@pytest.mark.parametrize(("erlangs", "slots"), [(1, 5), (2, 7), (5, 11), (10, 18), (20, 30), (50, 64)])
def test_the_table_of_the_run_book(erlangs, slots):
    """The slots that docs/operations.md gives for one refusal in a hundred."""
    assert slots_needed(erlangs, refused=0.01) == slots


def test_no_load_needs_one_slot():
    """A service that nobody uses still needs a slot."""
    assert slots_needed(0.0, refused=0.01) == 1
