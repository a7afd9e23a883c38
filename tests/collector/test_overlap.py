from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.collector.overlap import LegacySegment, hidden_by
from tests.collector.properties import PROPERTY

SEGMENTS = st.lists(
    st.builds(
        lambda start_ms, length_ms, text, speaker, completed: LegacySegment(
            f"t:{start_ms}", start_ms, start_ms + length_ms, text, speaker, completed
        ),
        st.integers(0, 4000),
        st.integers(0, 4000),
        st.sampled_from(
            ["no", "No.", "It was", "it was a milestone", "milestone to get", "好", "...", "", "a milestone"]
        ),
        st.sampled_from([None, "Alice", "Bob"]),
        st.booleans(),
    ),
    max_size=14,
    unique_by=lambda segment: segment.key,
)


def final(start_ms: int, end_ms: int, text: str, speaker: str | None = None) -> LegacySegment:
    """A segment that will not change."""
    return LegacySegment(f"t:{start_ms}", start_ms, end_ms, text, speaker)


def draft(start_ms: int, end_ms: int, text: str) -> LegacySegment:
    """A segment that may change."""
    return LegacySegment(f"t:{start_ms}", start_ms, end_ms, text, completed=False)


def test_what_is_said_again_in_more_words_is_hidden():
    """The shorter text within the time of the longer one, with 50 ms of tolerance, case and punctuation aside."""
    short, longer = final(1000, 2500, "It was a milestone."), final(960, 3000, "it was a Milestone to get here")
    assert hidden_by([short, longer]) == {"t:1000": "t:960"}
    assert hidden_by([short, final(1040, 3000, longer.text)]) == {"t:1000": "t:1040"}
    assert hidden_by([short, final(1051, 3000, longer.text)]) == {}


def test_of_equal_texts_the_longer_stays():
    """The span decides when both say the same."""
    assert hidden_by([final(0, 1000, "Yes."), final(20, 980, "yes")]) == {"t:20": "t:0"}


def test_other_words_are_never_hidden():
    """A segment within another's time that says something else is shown."""
    assert hidden_by([final(0, 5000, "We should go"), final(1000, 1500, "no")]) == {}


def test_speakers_are_told_apart():
    """Two people may say the same at once; an unknown speaker may be either."""
    alice = final(0, 2000, "Yes we do", "Alice")
    assert hidden_by([alice, final(500, 1500, "we do", "Bob")]) == {}
    assert hidden_by([alice, final(500, 1500, "we do")]) == {"t:500": "t:0"}


def test_a_draft_never_hides_a_final():
    """A final narrower than a draft is shown; the other way round the draft is hidden."""
    assert hidden_by([draft(0, 5000, "hello there my friend"), final(1000, 2000, "hello there")]) == {}
    assert hidden_by([final(0, 5000, "hello there my friend"), draft(1000, 2000, "hello there")]) == {"t:1000": "t:0"}
    assert hidden_by([final(1000, 2000, "Hello."), draft(900, 2100, "hello")]) == {}


def test_a_short_tail_that_is_said_again_is_hidden():
    """At most two words under 1.5 s that the segment before ends with, overlapping it in part."""
    before = final(0, 3000, "We will get there")
    assert hidden_by([before, final(2500, 3500, "get there.")]) == {"t:2500": "t:0"}
    assert hidden_by([before, final(2500, 4000, "get there.")]) == {}  # 1.5 s long
    assert hidden_by([before, final(2500, 3500, "will get there.")]) == {}  # three words
    assert hidden_by([before, final(2500, 3500, "get here")]) == {}
    assert hidden_by([before, final(3000, 3500, "get there")]) == {}  # said anew after it
    assert hidden_by([final(0, 3000, "明天见谢谢"), final(2500, 3500, "谢谢")]) == {"t:2500": "t:0"}


def test_a_tail_does_not_carry_its_neighbour_to_another_speaker():
    """What Bob said within a hidden tail of nobody's is not hidden by what Alice said."""
    alice = final(0, 3000, "We will get there", "Alice")
    segments = [alice, final(2500, 3500, "get there"), final(2990, 3400, "there", "Bob")]
    assert hidden_by(segments) == {"t:2500": "t:0"}


def test_scripts_are_compared_alike():
    """Marks, case and forms of letters do not count, with and without letters beyond ASCII."""
    for one, other in (
        ("It's well-known.", "ITS WELLKNOWN"),
        ("Ça va, naïve?", "ÇA VA NAI\u0308VE"),
        ("ＡＢ１", "ab1"),
    ):
        assert hidden_by([final(0, 1000, one), final(20, 980, other)]) == {"t:20": "t:0"}


def test_who_hides_is_shown():
    """What lies within a hidden tail refers to the segment that is shown."""
    segments = [final(0, 3000, "We will get there"), final(2500, 3500, "get there"), final(2990, 3400, "there")]
    assert hidden_by(segments) == {"t:2500": "t:0", "t:2990": "t:0"}


@pytest.mark.parametrize("text", ["", " ", "?"])
def test_text_without_letters_hides_only_its_like(text: str):
    """Nothing is contained in everything."""
    assert hidden_by([final(0, 1000, "hello?"), final(100, 900, text)]) == {}


@PROPERTY
@given(segments=SEGMENTS, seed=st.randoms(use_true_random=False))
def test_properties_of_hiding(segments, seed):
    """The order of segments is irrelevant, who hides is shown, and no final is hidden by a draft or another speaker."""
    hidden = hidden_by(segments)
    shuffled = list(segments)
    seed.shuffle(shuffled)
    assert hidden_by(shuffled) == hidden
    by_key = {segment.key: segment for segment in segments}
    for key, other in hidden.items():
        assert other not in hidden
        assert by_key[other].completed or not by_key[key].completed
        assert by_key[other].speaker == by_key[key].speaker or None in (by_key[other].speaker, by_key[key].speaker)


def test_a_long_session_is_quick_to_read():
    """Thousands of segments are compared with their neighbours only."""
    segments = [final(second * 1000, second * 1000 + 1500, f"word{second} next") for second in range(20_000)]
    assert hidden_by(segments) == {}
