from app.live.policy.segment_times import placed_ms


def test_times_are_whole_milliseconds():
    """Times far from the previous segment are only rounded."""
    assert placed_ms(1.2344, 2.0006, after_ms=0) == (1234, 2001)


def test_a_segment_starts_at_the_end_of_the_previous_one():
    """An overlap moves the start, never the end before it."""
    assert placed_ms(1.0, 2.0, after_ms=1500) == (1500, 2000)


def test_no_segment_is_empty():
    """A segment lies after the previous one, even if all of it should have been before."""
    assert placed_ms(1.0, 2.0, after_ms=5000) == (5000, 5002)
    start_ms, end_ms = placed_ms(1.0, 1.0, after_ms=0)
    assert end_ms / 1000 - start_ms / 1000 >= 0.001
