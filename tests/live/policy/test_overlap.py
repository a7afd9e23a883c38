from random import Random

from app.live.policy.hypothesis import Word
from app.live.policy.overlap import count_committed, without_loops


def line(text, start=0.0, step=0.4, length=0.3):
    """Words at an even pace."""
    return [Word(start + i * step, start + i * step + length, f" {w}") for i, w in enumerate(text.split())]


def test_words_heard_again_are_counted():
    """The committed words at the start of a hypothesis are found although their times moved."""
    committed = line("we all gaze at")
    again = line("we all gaze at the stars", start=0.12)
    assert count_committed(again, committed) == 4


def test_another_spelling_falls_back_on_time():
    """If no word is the same, the times decide."""
    assert count_committed(line("hour own haze art the stars"), line("we all gaze at")) == 4


def test_word_stretched_into_a_pause_is_not_new():
    """A committed word whose end moves far into the pause after it is recognised by its start."""
    committed = line("to our country.")
    stretched = Word(committed[-1].start + 0.02, committed[-1].end + 0.73, " country.")
    assert count_committed([*line("to our"), stretched, Word(4.0, 4.3, " At")], committed) == 3


def test_word_moved_by_skipped_words_is_not_new():
    """A hypothesis that skips words puts the one before them seconds later; it is recognised by its neighbours."""
    committed = line("bruised potatoes and fat")
    skipped = [*line("bruised potatoes and"), Word(3.2, 3.2, " fat"), Word(3.2, 3.6, " thick")]
    assert count_committed(skipped, committed) == 4


def test_moved_word_hides_none_before_it():
    """The same for times that were wrong when the word was committed: the words that were skipped are new."""
    committed = [*line("bruised potatoes and"), Word(3.2, 3.2, " fat")]
    assert count_committed(line("bruised potatoes and fat mutton pieces to be ladled"), committed) == 4


def test_phrase_in_two_places_is_found_by_time():
    """Letters alone decide only if they fit in one place."""
    committed = line("so it goes", start=4.0)
    twice = [*line("so it goes"), *line("so it goes", start=2.4), *line("on", start=5.5)]
    assert count_committed(twice, committed) == 6


def test_genuine_repeat_is_new():
    """The word "no" spoken again after a committed "no" is another word."""
    committed = line("no")
    assert count_committed(line("no no"), committed) == 1


def test_repeats_without_end_are_counted_by_time():
    """Among equal words the times decide, within a window that starts among them."""
    random = Random(1)  # noqa: S311  shakes times
    said = line("no " * 30)
    committed = said[:12]
    for _ in range(20):
        again = [word.shifted(random.uniform(-0.1, 0.1)) for word in said[9:20]]
        assert count_committed(again, committed[8:]) == 3


def test_lost_word_does_not_shift_the_seam():
    """A committed word that is not repeated does not affect the words after it."""
    committed = line("one two three four")
    again = [word for word in line("one two three four five six") if word.text != " two"]
    assert again[count_committed(again, committed) :] == line("one two three four five six")[4:]


def test_nothing_committed():
    """Without committed words everything is new; without words nothing is."""
    assert count_committed(line("a b"), []) == 0
    assert count_committed([], line("a b")) == 0


def test_loop_is_cut_to_one_round():
    """A phrase that a decoder repeats faster than speech is kept once."""
    looped = [*line("so we"), *line("went on " * 8, start=0.9, step=0.03, length=0.02), *line("home", start=2.0)]
    assert [word.text.strip() for word in without_loops(looped)] == ["so", "we", "went", "on", "home"]


def test_spoken_repeats_stay():
    """Repetitions at the pace of speech are words."""
    said = line("no no no no no")
    assert without_loops(said) == said


def test_echo_of_two_stays():
    """Two quick equal words may be speech; three are a loop."""
    quick = line("hey hey", step=0.05, length=0.04)
    assert without_loops(quick) == quick


def heard(begin, said, repeats, *, ends_s):
    """What a model wrote: `said` at the pace of speech after `begin`, `repeats` without any time, as recorded."""
    words = [*line(begin), *line(said, start=0.4 * len(begin.split()))]
    no_time = [Word(words[-1].end, words[-1].end, f" {word}") for word in repeats.split()]
    return [*words, *no_time[:-1], Word(words[-1].end, ends_s, no_time[-1].text)]


def test_sentence_repeated_without_time_is_cut():
    """A long phrase that a model writes again in no time was said once, even if its last word is long."""
    said = "can't seem to bring myself to say and for the name we're fulfilled for him"
    looped = heard("I", said, said, ends_s=8.5)
    assert without_loops(looped) == looped[:16]


def test_beginning_of_another_round_is_cut():
    """So is what the model began to write once more, at whichever word of the phrase."""
    said = "can't seem to bring myself to say and for the name we're fulfilled for him"
    looped = heard("I", said, f"{said} I {said} I", ends_s=6.3)
    assert without_loops(looped) == looped[:16]


def test_loop_of_a_long_phrase_is_cut():
    """A phrase of seven words that a model repeats up to its limit."""
    phrase = "first time I've been working on the"
    looped = heard("this is the", phrase, f"{phrase} " * 25, ends_s=8)
    assert [word.key for word in without_loops(looped)] == [word.key for word in looped[:10]]


def test_words_after_a_loop_stay():
    """What was said after it is kept, even if it begins in the same way."""
    said = "the brother paid for a birthday present near the river"
    looped = [*heard("", said, said, ends_s=4.1), *line("the meeting starts at two", start=4.6)]
    assert without_loops(looped) == [*looped[:10], *looped[20:]]


def test_sentence_said_twice_stays():
    """At the pace of speech."""
    said = line("ten thirty forty two thousand five nine " * 2)
    assert without_loops(said) == said
