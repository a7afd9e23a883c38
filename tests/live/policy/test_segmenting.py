from itertools import pairwise

import pytest

from app.live.policy.hypothesis import Word
from app.live.policy.segmenting import Segmenter, segment_of


def words(text, start=0.0, step=0.4, length=0.3):
    """Words at an even pace."""
    return [Word(start + i * step, start + i * step + length, f" {w}") for i, w in enumerate(text.split())]


def sentences(max_segment_s=10.0, gap_s=0.8, complete_after_s=3.0):
    """Sentences with ordinary limits."""
    return Segmenter(max_segment_s=max_segment_s, gap_s=gap_s, complete_after_s=complete_after_s)


def texts(segments):
    """Texts of segments."""
    return [segment.text for segment in segments]


def test_sentence_ends_a_segment():
    """Words wait until their sentence ends."""
    gathered = sentences()
    assert gathered.add(words("we all"), close=False) == []
    assert texts(gathered.add(words("gaze. And thou", start=0.8), close=False)) == [" we all gaze."]
    assert [word.text for word in gathered.open_words] == [" And", " thou"]


def test_pause_completes():
    """A pause completes the open words, if there are any."""
    gathered = sentences()
    assert texts(gathered.add(words("we all"), close=True)) == [" we all"]
    assert gathered.add((), close=True) == []


def test_gap_between_words_completes():
    """A silence between two words ends a segment too."""
    gathered = sentences()
    assert texts(gathered.add([*words("we all"), *words("gaze", start=3.0)], close=False)) == [" we all"]


def test_endless_sentence_is_broken_at_a_clause():
    """A segment without a sentence end is completed at its last comma rather than within a phrase."""
    gathered = sentences(max_segment_s=4.0)
    done = gathered.add(words("a b c d e f, g h i j k l m"), close=False)
    assert texts(done) == [" a b c d e f,"]


def test_endless_sentence_is_broken_at_its_widest_gap():
    """Without a comma it is completed at the widest gap of its second half."""
    gathered = sentences(max_segment_s=4.0)
    speech = [*words("a b c d e f"), *words("g h i j k", start=2.7)]
    assert texts(gathered.add(speech, close=False)) == [" a b c d e f"]


def test_first_words_of_a_long_sentence_do_not_wait_for_its_end():
    """Words that ended half of the limit ago are completed at the end of a clause."""
    gathered = sentences(complete_after_s=3.0)
    speech = words("we all gaze at, and thou")
    assert gathered.add(speech, close=False, heard_s=speech[0].end + 1.4) == []
    assert texts(gathered.add((), close=False, heard_s=speech[0].end + 1.5)) == [" we all gaze at,"]
    assert [word.text for word in gathered.open_words] == [" and", " thou"]


def test_first_words_are_completed_at_a_short_break():
    """A break between two words that is too short for the end of a sentence is as good as a comma."""
    gathered = sentences(complete_after_s=3.0)
    speech = [*words("we all gaze at"), *words("and thou", start=1.8)]
    assert texts(gathered.add(speech, close=False, heard_s=3.0)) == [" we all gaze at"]


def test_sentence_without_clauses_is_divided_at_its_widest_gap():
    """After the whole limit the words are completed at the widest gap; before it they wait for a better place."""
    gathered = sentences(complete_after_s=3.0)
    speech = [*words("a b c d e"), *words("f g h i", start=2.05)]
    assert gathered.add(speech, close=False, heard_s=3.2) == []
    assert texts(gathered.add((), close=False, heard_s=3.4)) == [" a b c d e"]


def test_part_of_a_sentence_is_not_too_short():
    """A clause of one or two words is no line of its own; it waits for more words."""
    gathered = sentences(complete_after_s=3.0)
    assert gathered.add(words("well, you"), close=False, heard_s=9.0) == []
    assert texts(gathered.add(words("know, all gaze", start=0.8), close=False, heard_s=9.0)) == [" well, you know, all"]


def test_newest_word_stays_open():
    """Words are never divided after the newest one, because what follows it is not known."""
    gathered = sentences(complete_after_s=3.0)
    done = gathered.add(words("a b c d e f"), close=False, heard_s=9.0)
    assert "".join(texts(done)) == " a b c d e"
    assert [word.text for word in gathered.open_words] == [" f"]


def test_parts_lose_no_word_and_stay_in_order():
    """However the words arrive, the segments contain each word once, in order, and never overlap."""
    speech = words("a b c d, e f g h i j k l m n, o p q r s t u v w x y z")
    gathered, done = sentences(complete_after_s=2.0), []
    for word in speech:
        done += gathered.add([word], close=False, heard_s=word.end + 1.0)
    done += gathered.add((), close=True, heard_s=speech[-1].end + 1.0)
    assert [word for segment in done for word in segment.words] == speech
    assert all(before.end <= after.start for before, after in pairwise(done))
    assert max(segment.end - segment.start for segment in done) < 4.0


def test_one_long_word_is_one_segment():
    """A single word cannot be divided and stays whole."""
    gathered = sentences(max_segment_s=2.0)
    assert gathered.add([Word(0, 9, " something")], close=False) == []
    assert texts(gathered.add((), close=True)) == [" something"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("你好世界" * 20, "你好世界" * 8 + "你"),
        ("你好世界，" * 16, "你好世界，" * 6),
        ("今日は良い天気です。明日は雨？" * 6, "今日は良い天気です。明日は雨？" * 2),
        ("สวัสดีครับ" * 8, "สวัสดีครับ" * 3 + "สวั"),
        (" we all gaze at" * 6, " we all gaze at" * 2 + " we all"),
        (" We all gaze, and thou." * 4, " We all gaze, and thou."),
        (" “We all.” (So it is.)" * 4, " “We all.” (So it is.) “We all.”"),
    ],
)
def test_a_long_segment_without_words_is_divided(text, first):
    """Segments without words are divided: the limit holds, no text is lost, times are continuous."""
    gathered = sentences()
    done = gathered.add([Word(0, 24, text, ends_segment=True)], close=True)
    assert all(0 < segment.end - segment.start <= 10.0 for segment in done)
    assert [segment.start for segment in done[1:]] == pytest.approx([segment.end for segment in done[:-1]])
    assert (done[0].start, done[-1].end) == (0, 24)
    assert "".join(word.text for segment in done for word in segment.words) == text
    assert done[0].text.strip() == first.strip()


def test_chinese_sentence_ends_behind_its_quotation_mark():
    """Its characters are words without spaces, and the limit holds for them too."""
    gathered = sentences()
    signs = [Word(i * 0.5, i * 0.5 + 0.5, sign) for i, sign in enumerate(["「", "你", "好", "。」", "他", "说"])]
    assert texts(gathered.add(signs, close=True)) == [" 「你好。」", " 他说"]
    endless = [Word(i * 0.25, i * 0.25 + 0.25, "你") for i in range(120)]
    assert all(segment.end - segment.start <= 10.0 for segment in gathered.add(endless, close=True))


def test_abbreviation_is_no_sentence():
    """A full stop right after the start does not end a segment."""
    gathered = sentences()
    assert gathered.add([Word(0.0, 0.2, " Mr.")], close=False) == []


def test_text_has_the_leading_space():
    """Also if the model wrote none, as in Chinese; the times are those of the first and last word."""
    segment = segment_of([Word(1.0, 1.2, "你"), Word(1.2, 1.5, "好")], completed=True, language="zh")
    assert (segment.text, segment.start, segment.end, segment.language) == (" 你好", 1.0, 1.5, "zh")
