import random

import pytest

from tools.demo_model.sentences import LANGUAGES, Language
from tools.demo_model.windows import Mix, Planner, Window, even, pack, samples, whole_ticks

LENGTHS: dict[Language, list[tuple[int, int]]] = {
    language: [(first + number, 16000 + 3000 * number) for number in range(20)]
    for language, first in zip(LANGUAGES, (0, 100, 200), strict=True)
}
LENGTH_OF = dict(pair for pairs in LENGTHS.values() for pair in pairs)


def draw(kind, count=200):
    """Windows of a kind, the same in every run."""
    planner, rng = Planner(LENGTHS), random.Random(5)
    return [planner.window(rng, kind) for _ in range(count)]


@pytest.mark.parametrize("kind", ["clip", "long", "padded", "empty"])
def test_windows_stay_within_what_the_encoder_holds(kind):
    """No window passes 30 s, none ends between two encoder positions, audio fits into the frames."""
    for window in draw(kind):
        assert 0 < window.n_frames <= 3000
        assert window.n_frames % 2 == 0
        assert window.n_samples % 320 == 0
        assert window.n_samples // 160 <= window.n_frames
        assert window.offset + window.n_frames // 2 <= 1500


@pytest.mark.parametrize("kind", ["clip", "long", "padded"])
def test_sentences_follow_each_other_in_one_language(kind):
    """Sentences do not overlap and begin on a tick; only a long window's last one is cut."""
    for window in draw(kind):
        end = 0
        for placed in window.placed:
            assert placed.start >= end
            assert placed.start % 320 == 0
            assert placed.index in {index for index, _ in LENGTHS[window.language]}
            end = placed.start + LENGTH_OF[placed.index]
        assert window.placed
        assert end <= window.n_samples or kind == "long"
        assert window.placed[-1].start < window.n_samples


def test_long_windows_hold_many_sentences():
    """The full window is what one sentence cannot teach."""
    assert sum(len(window.placed) for window in draw("long")) / 200 > 4


def test_a_step_follows_from_its_seed():
    """A resumed run sees the windows of an uninterrupted one."""
    planner, mix = Planner(LENGTHS), Mix(long=0.3, padded=0.1, empty=0.05)
    one = planner.step(random.Random("0/7"), mix, seconds=200)
    assert one == planner.step(random.Random("0/7"), mix, seconds=200)
    assert one != planner.step(random.Random("0/8"), mix, seconds=200)


def test_a_mix_gives_its_shares():
    """Over many steps each kind has about its share of the seconds."""
    planner, mix = Planner(LENGTHS), Mix(long=0.4, padded=0.1, empty=0.02)
    drawn = [w for seed in range(300) for w in planner.step(random.Random(seed), mix, seconds=100)]
    total = sum(window.n_frames for window in drawn)
    share = {k: sum(w.n_frames for w in drawn if w.kind == k) / total for k in ("long", "padded", "empty")}
    assert share["long"] == pytest.approx(0.4, abs=0.05)
    assert share["padded"] == pytest.approx(0.1, abs=0.05)
    assert share["empty"] == pytest.approx(0.02, abs=0.015)


def test_groups_are_within_their_frames_and_lose_nothing():
    """Padding to the longest of a group stays within the limit; a longer window is alone."""
    windows = [Window("clip", "en", (), 320, n, 0, ()) for n in (100, 3000, 400, 900, 120, 880)]
    groups = pack(windows, max_frames=1000)
    assert sorted(w.n_frames for group in groups for w in group) == [100, 120, 400, 880, 900, 3000]
    for group in groups:
        assert len(group) == 1 or len(group) * max(w.n_frames for w in group) <= 1000


def test_rounding_is_to_ticks_and_pairs():
    """One tick is 320 samples; frames come in pairs."""
    assert samples(0.5) == 8000
    assert whole_ticks(321) == 640
    assert (even(7), even(8)) == (8, 8)
