import numpy as np
import pytest

from app.live.policy.buffer import AudioBuffer


def samples(*values):
    """[n] int16."""
    return np.array(values, dtype=np.int16)


def test_samples_keep_their_number():
    """What is read by absolute number is the same before and after older samples are dropped."""
    buffer = AudioBuffer()
    buffer.append(samples(1, 2, 3))
    buffer.append(samples(4, 5))
    before = buffer.read(2, 5)
    assert buffer.drop_before(2) == 2
    assert (buffer.start, buffer.end) == (2, 5)
    assert buffer.read(2, 5) == before == samples(3, 4, 5).tobytes()


def test_drop_is_bounded():
    """Dropping before the start drops nothing; beyond the end drops what there is, and the numbers go on."""
    buffer = AudioBuffer()
    buffer.append(samples(1, 2, 3))
    buffer.drop_before(2)
    assert buffer.drop_before(1) == 0
    assert buffer.drop_before(99) == 1
    buffer.append(samples(4))
    assert buffer.read(3, 4) == samples(4).tobytes()


def test_reading_what_is_gone_is_a_bug():
    """A sample that was dropped is never silently replaced by another."""
    buffer = AudioBuffer()
    buffer.append(samples(1, 2, 3))
    buffer.drop_before(1)
    with pytest.raises(ValueError, match=r"0\.\.2 asked for"):
        buffer.read(0, 2)
