from app.live.policy.arrivals import Arrivals


def test_sample_arrived_with_its_frame():
    """A sample has the time of the frame it came in."""
    arrivals = Arrivals()
    for index in range(10):
        arrivals.add((index + 1) * 4096, index * 0.256)
    assert arrivals.of(0) == 0.0
    assert arrivals.of(4096) == 0.256
    assert arrivals.of(9 * 4096 + 1) == 9 * 0.256


def test_small_frames_share_a_tenth():
    """Frames of 20 ms are kept in steps of a tenth of a second: the answer is off by no more."""
    arrivals = Arrivals()
    for index in range(500):
        arrivals.add((index + 1) * 320, index * 0.02)
    for index in range(0, 500, 7):
        assert abs(arrivals.of(index * 320) - index * 0.02) <= 0.12


def test_unknown_samples():
    """Before any audio the answer is zero, past the end it is the newest time."""
    arrivals = Arrivals()
    assert arrivals.of(5) == 0.0
    arrivals.add(100, 3.0)
    assert arrivals.of(1000) == 3.0


def test_forgetting_keeps_what_is_left_true():
    """An hour of stream does not grow the map, and newer samples keep their time."""
    arrivals = Arrivals()
    for second in range(3600):
        arrivals.add((second + 1) * 16_000, float(second))
        arrivals.drop_before((second - 10) * 16_000)
    assert arrivals.of(3595 * 16_000) == 3595.0
    assert len(arrivals._ends) < 600
