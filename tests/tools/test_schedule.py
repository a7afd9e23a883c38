import pytest

from tools.demo_model.schedule import Schedule, shares

PLAN = Schedule(steps=1000, warmup=100, decay=200, rate=1e-3, decoder_from=50, long_from=600)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 1e-5), (49, 5e-4), (99, 1e-3), (500, 1e-3), (800, 1e-3), (900, 5e-4), (1000, 0.0)]
)
def test_rate_rises_stays_and_falls(step, rate):
    """The rate is flat between warm-up and decay, so the end can be moved until the decay."""
    assert PLAN.rate_at(step) == pytest.approx(rate)


def test_long_windows_come_late():
    """Most of the audio is in short windows first, in full ones at the end."""
    assert PLAN.mix_at(599).long <= 0.3
    assert PLAN.mix_at(600).long > 0.4
    assert PLAN.mix_at(600).padded > PLAN.mix_at(0).padded


def test_parameters_are_dealt_evenly_and_once():
    """Every parameter has one owner; the loads are close."""
    sizes = [100, 1, 50, 50, 30, 30, 40]
    dealt = shares(sizes, 2)
    assert sorted(index for share in dealt for index in share) == list(range(len(sizes)))
    loads = [sum(sizes[index] for index in share) for share in dealt]
    assert max(loads) - min(loads) <= 30
