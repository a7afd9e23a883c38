from __future__ import annotations

from tests.load.live import LiveStream, Window


def test_a_window_is_sent_once_there_is_enough_audio():
    """Below two seconds nothing is sent, then everything that has arrived."""
    stream = LiveStream()
    assert stream.next_window(1.9) is None
    assert stream.next_window(2.5) == Window(0.0, 2.5)


def test_after_a_success_the_next_window_begins_where_it_ended():
    """No second is sent twice, and two seconds pass between requests."""
    stream = LiveStream()
    stream.served(Window(0.0, 2.0), now_s=3.0)
    assert stream.next_window(4.9) is None
    assert stream.next_window(5.0) == Window(2.0, 5.0)
    assert (stream.transcribed_s, stream.lost_s, stream.lags_s) == (2.0, 0.0, [3.0])


def test_a_refused_window_grows():
    """After 503 the client waits for Retry-After and sends the same beginning with a later end: nothing is lost."""
    stream = LiveStream()
    stream.refused(now_s=2.0, retry_after_s=1.0)
    assert stream.next_window(2.9) is None
    assert stream.next_window(3.0) == Window(0.0, 3.0)


def test_retry_after_has_the_bounds_of_the_real_client():
    """Ten seconds count as two, zero as half a second."""
    stream = LiveStream()
    stream.refused(now_s=2.0, retry_after_s=10.0)
    assert stream.next_window(4.0) is not None
    stream.refused(now_s=4.0, retry_after_s=0.0)
    assert stream.next_window(4.4) is None
    assert stream.next_window(4.5) is not None


def test_too_long_a_wait_loses_speech_and_counts_it():
    """Above 25 s of waiting audio only the last 5 s are kept: 21 of 26 s are lost."""
    stream = LiveStream()
    assert stream.next_window(25.0) == Window(0.0, 25.0)
    assert stream.next_window(26.0) == Window(21.0, 26.0)
    assert stream.lost_s == 21.0


def test_the_last_words_are_sent_however_short():
    """When the speaker stops, half a second is sent without waiting for more; a hundredth of a second is not."""
    stream = LiveStream()
    stream.served(Window(0.0, 4.0), now_s=4.0)
    assert stream.last_window(4.5) == Window(4.0, 4.5)
    assert stream.last_window(4.01) is None


def test_what_was_never_sent_is_lost_at_the_end():
    """Audio that is not transcribed when the speaker stops is lost."""
    stream = LiveStream()
    stream.served(Window(0.0, 4.0), now_s=4.0)
    stream.end(10.0)
    assert (stream.transcribed_s, stream.lost_s) == (4.0, 6.0)
