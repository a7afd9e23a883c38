from __future__ import annotations

import pytest

from bench.capacity import erlang_loss, most_busy, refused_share


@pytest.mark.parametrize(
    ("erlangs", "slots", "share"), [(1.0, 1, 0.5), (2.0, 2, 0.4), (10.0, 10, 0.2146), (10.0, 18, 0.0071)]
)
def test_erlangs_formula_agrees_with_published_tables(erlangs, slots, share):
    """To the digits of the usual tables."""
    assert erlang_loss(erlangs, slots) == pytest.approx(share, abs=5e-5)


def test_one_slot_is_refused_as_often_as_it_is_busy():
    """Random arrivals see what the average over time is."""
    assert refused_share(0.3, 1) == pytest.approx(0.3)


def test_half_of_the_slots_busy_means_that_every_number_is_as_likely():
    """Arrivals as fast as the machine works: each number from none to all has the same share."""
    assert refused_share(0.5, 4) == pytest.approx(1 / 5)
    assert refused_share(0.5, 8) == pytest.approx(1 / 9)


@pytest.mark.parametrize(("busy", "refused"), [(0.1, 0.001), (0.2, 0.010), (0.3, 0.031), (0.4, 0.065), (0.5, 0.111)])
def test_the_table_of_the_run_book(busy, refused):
    """What docs/operations.md says of a worker with eight slots."""
    assert refused_share(busy, 8) == pytest.approx(refused, abs=0.0006)


@pytest.mark.parametrize(("slots", "busy"), [(4, 0.13), (8, 0.20), (16, 0.27), (32, 0.34), (64, 0.43)])
def test_the_other_table_of_the_run_book(slots, busy):
    """The use of the slots at which one request in a hundred is refused."""
    assert most_busy(slots, refused=0.01) == pytest.approx(busy, abs=0.005)
