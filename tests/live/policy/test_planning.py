import numpy as np
import pytest

from app.live.policy.activity import Activity
from app.live.policy.durations import StreamPolicy
from app.live.policy.planning import due_window

RATE = 16_000
POLICY = StreamPolicy()


def audio(*parts):
    """Activity of alternating stretches: positive seconds of sound, negative ones of silence."""
    activity = Activity()
    for seconds in parts:
        level = 3000 if seconds > 0 else 0
        activity.feed(np.full(round(abs(seconds) * RATE), level, np.int16))
    return activity, round(sum(abs(seconds) for seconds in parts) * RATE)


def planned(*parts, cut_s=0.0, heard_to_s=0.0, quiet=None, step_s=1.0, longest_s=28.0):
    """(start, end, why) in seconds; None if nothing is due."""
    activity, end = audio(*parts)
    made = due_window(
        activity,
        POLICY,
        cut=round(cut_s * RATE),
        heard_to=round(heard_to_s * RATE),
        end=end,
        quiet=quiet,
        step_s=step_s,
        longest_s=longest_s,
    )
    return made and (made.start / RATE, made.end / RATE, made.why)


def test_speech_is_due_after_a_step():
    """Not before a step of it is there; then from the pre-roll before its onset to the newest sample."""
    assert planned(-5, 0.9) is None
    assert planned(-5, 1.0) == (pytest.approx(4.6), 6.0, "step")


def test_next_step_counts_from_the_last_pass():
    """What has been heard does not count again, but is sent again."""
    assert planned(4.0, heard_to_s=3.2) is None
    assert planned(4.0, heard_to_s=3.0) == (0.0, 4.0, "step")


def test_breath_is_waited_out():
    """Between the hold and the pause nothing is due, though a step of audio is there."""
    assert planned(2.0, -0.3) is None
    assert planned(2.0, -0.1) == (0.0, 2.1, "step")


def test_silence_at_the_end_makes_it_due_at_once():
    """Whatever ended the speech, the rest is due without waiting for a step."""
    assert planned(0.3, -0.6, quiet="pause") == (0.0, pytest.approx(0.9), "pause")
    assert planned(0.3, quiet="end") == (0.0, pytest.approx(0.3), "end")


def test_backlog_is_cut_in_its_last_pause():
    """The oldest 28 s at most, up to the middle of the last half-second pause in them."""
    start, end, why = planned(20, -0.6, 5, -0.3, 20)
    assert (start, why) == (0.0, "backlog")
    assert end == pytest.approx(20.35, abs=0.05)


def test_backlog_is_cut_between_words_if_nobody_pauses():
    """A shorter silence will do."""
    start, end, why = planned(20, -0.25, 25)
    assert (start, why) == (0.0, "backlog")
    assert end == pytest.approx(20.15, abs=0.05)


def test_backlog_without_any_dip_is_an_open_window():
    """Then its end cuts something, so not all that is heard in it is final."""
    assert planned(60) == (0.0, 28.0, "step")


def test_shorter_windows_on_demand():
    """A backlog, and what is one then, is cut by the same rules into windows of the length that is asked for."""
    assert planned(9, longest_s=8.0) == (0.0, 8.0, "step")
    start, end, why = planned(6, -0.6, 20, longest_s=8.0)
    assert (start, why) == (0.0, "backlog")
    assert end == pytest.approx(6.35, abs=0.05)
