import random

import pytest

from tools.demo_model.targets import NO_LABEL, NO_TIME, Special, Spoken, middle_times, write
from tools.demo_model.windows import Placed, Window

SPECIAL = Special(
    end=2000,
    start=2001,
    languages={"en": 2002, "de": 2004, "es": 2005},
    transcribe=2102,
    previous=2104,
    no_speech=2105,
    no_timestamps=2106,
    timestamp=2107,
)
SECOND = 16000


class AlwaysTimed(random.Random):
    """Chance that takes the first of two ways."""

    def random(self):
        """Always take the first."""
        return 0.0


class NeverTimed(random.Random):
    """Chance that takes the second of two ways."""

    def random(self):
        """Always take the second."""
        return 0.99


def spoken(index):
    """A sentence of two tokens, one second long."""
    return Spoken((10 * index, 10 * index + 1), (0.25, 0.75), SECOND)


def window(*starts_s: float, length_s=30.0, offset=0, previous=()):
    """A German window with a sentence at each start."""
    placed = tuple(Placed(number + 1, round(start * SECOND)) for number, start in enumerate(starts_s))
    n_samples = round(length_s * SECOND)
    return Window("clip", "de", placed, n_samples, n_samples // 160, offset, previous)


def test_timed_target_gives_each_sentence_its_start_and_end():
    """Prompt, start time, text, end time for every sentence, then the end."""
    target = write(window(0.5, 2.0), spoken, SPECIAL, AlwaysTimed())
    ts = SPECIAL.timestamp
    assert target.inputs[:3] == [2001, 2004, 2102]
    assert target.inputs[3:] == [ts + 25, 10, 11, ts + 75, ts + 100, 20, 21, ts + 150]
    assert target.labels == [*target.inputs[1:], 2000]
    assert target.times_s[2:] == [0.5, 0.75, 1.25, 1.5, 2.0, 2.25, 2.75, 3.0, NO_TIME]


def test_untimed_target_is_text_alone():
    """After <|notimestamps|> no time is said, but the attention still learns when."""
    target = write(window(0.5), spoken, SPECIAL, NeverTimed())
    assert target.inputs == [2001, 2004, 2102, SPECIAL.no_timestamps, 10, 11]
    assert target.times_s == [NO_TIME, NO_TIME, NO_TIME, 0.75, 1.25, NO_TIME]


def test_cut_sentence_gives_its_start_only():
    """The next window shall begin where the cut sentence does."""
    target = write(window(0.0, 1.5, length_s=2.0), spoken, SPECIAL, NeverTimed())
    ts = SPECIAL.timestamp
    assert target.labels[2:] == [ts, 10, 11, ts + 50, ts + 75, 2000]


def test_first_time_is_within_what_decoders_allow():
    """A first start after 1 s is said as 1 s: decoders forbid more."""
    target = write(window(1.4), spoken, SPECIAL, AlwaysTimed())
    assert target.labels[2] == SPECIAL.timestamp + 50


def test_offset_moves_every_time():
    """A window placed late in the 30 s says late times."""
    target = write(window(0.5, length_s=3.0, offset=500), spoken, SPECIAL, AlwaysTimed())
    assert target.labels[2] == SPECIAL.timestamp + 525
    assert target.times_s[2] == 10.5


def test_previous_text_is_not_learnt():
    """The prompt is input only."""
    target = write(window(0.0, previous=(7,)), spoken, SPECIAL, AlwaysTimed())
    at = target.inputs.index(SPECIAL.start)
    assert target.inputs[0] == SPECIAL.previous
    assert {70, 71} <= set(target.inputs[:at])
    assert set(target.labels[:at]) == {NO_LABEL}
    assert target.labels[at] == SPECIAL.languages["de"]


def test_nothing_said_is_no_speech_at_once():
    """Silence is told at the first token, and ends for who goes on."""
    for rng in (AlwaysTimed(), NeverTimed()):
        target = write(window(), spoken, SPECIAL, rng)
        assert target.labels[0] == SPECIAL.no_speech
        assert target.labels[-1] == SPECIAL.end
        assert len(target.inputs) == len(target.labels) == len(target.times_s)


def test_token_times_follow_the_words():
    """A token lies in its word's time, not in the sentence's average."""
    anchors = ((0, 0.0), (4, 1.0), (8, 1.2))
    assert middle_times([(0, 4), (4, 8)], anchors) == pytest.approx((0.5, 1.1))
    assert middle_times([(-1, 1), (8, 9)], anchors) == pytest.approx((0.0, 1.2))
