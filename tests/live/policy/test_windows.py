import numpy as np
import pytest

from app.live.policy.activity import Activity
from app.live.policy.stream_policy import StreamPolicy
from app.live.policy.windows import LiveWindow, WindowPacing, due_window

RATE = 16_000
POLICY = StreamPolicy()


def audio(*parts):
    """Activity of alternating parts: positive seconds of sound, negative ones of silence."""
    activity = Activity()
    for seconds in parts:
        level = 3000 if seconds > 0 else 0
        activity.feed(np.full(round(abs(seconds) * RATE), level, np.int16))
    return activity, round(sum(abs(seconds) for seconds in parts) * RATE)


def due(*parts, cut_s=0.0, transcribed_to_s=0.0, quiet=None, timeouts=0):
    """(start, end, reason) in seconds; None if nothing is due."""
    activity, end = audio(*parts)
    pacing = WindowPacing(POLICY)
    for _ in range(timeouts):
        pacing.timed_out()
    span = due_window(
        activity,
        POLICY,
        cut=round(cut_s * RATE),
        transcribed_to=round(transcribed_to_s * RATE),
        end=end,
        quiet=quiet,
        pacing=pacing,
    )
    return span and (span.start / RATE, span.end / RATE, span.reason)


def test_speech_is_due_after_a_step():
    """Not before there is a step of it; then from the pre-roll before its onset to the newest sample."""
    assert due(-5, 0.9) is None
    assert due(-5, 1.0) == (pytest.approx(4.6), 6.0, "step")


def test_next_step_counts_from_the_last_window():
    """Audio that is transcribed does not count as new, but is sent again."""
    assert due(4.0, transcribed_to_s=3.2) is None
    assert due(4.0, transcribed_to_s=3.0) == (0.0, 4.0, "step")


def test_a_short_silence_is_not_sent():
    """Between the hold and the pause nothing is due, although there is a step of audio."""
    assert due(2.0, -0.3) is None
    assert due(2.0, -0.1) == (0.0, 2.1, "step")


def test_silence_at_the_end_makes_it_due_at_once():
    """When the speech has ended, the rest is due without waiting for a step."""
    assert due(0.3, -0.6, quiet="pause") == (0.0, pytest.approx(0.9), "pause")
    assert due(0.3, quiet="end") == (0.0, pytest.approx(0.3), "end")


def test_backlog_is_cut_in_its_last_pause():
    """The oldest 28 s at most, up to the middle of the last half-second pause in them."""
    start, end, reason = due(20, -0.6, 5, -0.3, 20)
    assert (start, reason) == (0.0, "backlog")
    assert end == pytest.approx(20.35, abs=0.05)


def test_backlog_is_cut_between_words_if_nobody_pauses():
    """A shorter silence is enough."""
    start, end, reason = due(20, -0.25, 25)
    assert (start, reason) == (0.0, "backlog")
    assert end == pytest.approx(20.15, abs=0.05)


def test_backlog_without_any_dip_is_an_open_window():
    """Its end may cut a word, so not all of its words are final."""
    assert due(60) == (0.0, 28.0, "step")


def test_shorter_windows_after_timeouts():
    """More audio than the shorter window holds is a backlog, cut by the same rules."""
    assert due(15, timeouts=1) == (0.0, 14.0, "step")
    start, end, reason = due(10, -0.6, 20, timeouts=1)
    assert (start, reason) == (0.0, "backlog")
    assert end == pytest.approx(10.35, abs=0.05)


def test_pacing_follows_timeouts_and_answers():
    """Each timeout halves the longest window, down to a sentence; answers lengthen it, up to the policy's."""
    pacing = WindowPacing(POLICY)
    lengths = []
    for _ in range(4):
        pacing.timed_out()
        lengths.append(pacing.longest_s)
    assert lengths == [14.0, 7.0, 6.0, 6.0]
    pacing.answered(empty=False)
    assert pacing.longest_s == 7.5
    for _ in range(20):
        pacing.answered(empty=False)
    assert pacing.longest_s == POLICY.max_window_s


def test_steps_grow_while_no_words_are_found():
    """Noise gets fewer requests; the first words bring the normal step back."""
    pacing = WindowPacing(POLICY)
    steps = []
    for _ in range(5):
        pacing.answered(empty=True)
        steps.append(pacing.step_s)
    assert steps == [1.0, 2.0, 4.0, 4.0, 4.0]
    pacing.answered(empty=False)
    assert pacing.step_s == 1.0


@pytest.mark.parametrize(("seconds", "full"), [(26.9, False), (27.0, True), (28.0, True)])
def test_a_window_without_room_for_a_step_is_full(seconds, full):
    """The next window would begin and end at the same samples."""
    window = LiveWindow(1, 0, round(seconds * RATE), b"", "step", "", None)
    assert WindowPacing(POLICY).is_full(window) is full
