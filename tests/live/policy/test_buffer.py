import numpy as np
import pytest

from app.live.policy.buffer import Arrivals, AudioBuffer


def samples(*values):
    """[n] int16."""
    return np.array(values, dtype=np.int16)


def test_samples_keep_their_number():
    """A sample has the same number before and after older samples are dropped."""
    buffer = AudioBuffer()
    buffer.append(samples(1, 2, 3))
    buffer.append(samples(4, 5))
    before = buffer.read(2, 5)
    assert buffer.drop_before(2) == 2
    assert (buffer.start, buffer.end) == (2, 5)
    assert buffer.read(2, 5) == before == samples(3, 4, 5).tobytes()


def test_drop_is_bounded():
    """Dropping before the start drops nothing; beyond the end it drops everything, and the numbers continue."""
    buffer = AudioBuffer()
    buffer.append(samples(1, 2, 3))
    buffer.drop_before(2)
    assert buffer.drop_before(1) == 0
    assert buffer.drop_before(99) == 1
    buffer.append(samples(4))
    assert buffer.read(3, 4) == samples(4).tobytes()


def test_reading_dropped_samples_is_an_error():
    """A sample that was dropped is never silently replaced by another."""
    buffer = AudioBuffer()
    buffer.append(samples(1, 2, 3))
    buffer.drop_before(1)
    with pytest.raises(ValueError, match=r"0\.\.2 requested"):
        buffer.read(0, 2)


def test_sample_arrived_with_its_frame():
    """A sample has the arrival time of its frame."""
    arrivals = Arrivals()
    for index in range(10):
        arrivals.add((index + 1) * 4096, index * 0.256)
    assert arrivals.of(0) == 0.0
    assert arrivals.of(4096) == 0.256
    assert arrivals.of(9 * 4096 + 1) == 9 * 0.256


def test_small_frames_share_a_tenth():
    """Frames of 20 ms are recorded in steps of a tenth of a second, with no larger error."""
    arrivals = Arrivals()
    for index in range(500):
        arrivals.add((index + 1) * 320, index * 0.02)
    for index in range(0, 500, 7):
        assert abs(arrivals.of(index * 320) - index * 0.02) <= 0.12


def test_unknown_samples():
    """Before any audio the time is zero; past the end it is the newest one."""
    arrivals = Arrivals()
    assert arrivals.of(5) == 0.0
    arrivals.add(100, 3.0)
    assert arrivals.of(1000) == 3.0


def test_dropping_old_entries_keeps_newer_ones_correct():
    """An hour of stream does not grow the map, and newer samples keep their time."""
    arrivals = Arrivals()
    for second in range(3600):
        arrivals.add((second + 1) * 16_000, float(second))
        arrivals.drop_before((second - 10) * 16_000)
    assert arrivals.of(3595 * 16_000) == 3595.0
    assert len(arrivals._ends) < 600
