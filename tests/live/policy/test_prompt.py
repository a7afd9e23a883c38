from app.live.policy.hypothesis import Word
from app.live.policy.prompt import CommittedContext
from app.live.policy.stream_policy import StreamPolicy

POLICY = StreamPolicy(prompt_chars=20)


def words(text, start=0.0):
    """Words a second apart."""
    return [Word(start + i, start + i + 0.8, f" {w}") for i, w in enumerate(text.split())]


def test_words_leave_with_the_cut():
    """Words before the cut become the prompt; those after it are still in the window."""
    context = CommittedContext(initial_prompt="", policy=POLICY)
    context.commit(words("one two three"))
    context.move_cut(1.9)
    assert [word.text for word in context.tail] == [" three"]
    assert context.prompt(2.0) == "one two"
    assert context.end_s == 2.8


def test_prompt_is_short_and_begins_with_a_word():
    """Only the last characters are sent, never a partial word; the client's own prompt always is."""
    context = CommittedContext(initial_prompt="Vexa:", policy=POLICY)
    context.commit(words("alphabet bravado charlatan delta"))
    context.move_cut(10)
    assert context.prompt(5.0) == "Vexa: charlatan delta"


def test_silence_and_loops_clear_the_prompt():
    """After a long silence, or if the model repeated it, the committed text is dropped."""
    context = CommittedContext(initial_prompt="", policy=POLICY)
    context.commit(words("one two"))
    context.move_cut(10)
    assert context.prompt(2.0)
    assert context.prompt(30.0) == ""
    context.commit(words("three", start=30.0))
    context.move_cut(40)
    context.forget()
    assert context.prompt(31.0) == ""


def test_no_prompt_by_default():
    """The default policy sends no committed text."""
    context = CommittedContext(initial_prompt="", policy=StreamPolicy())
    context.commit(words("one two"))
    context.move_cut(10)
    assert context.prompt(2.0) == ""


def test_trim_point_is_the_widest_gap():
    """A long window is trimmed at its longest pause, a second or more before its last final word."""
    context = CommittedContext(initial_prompt="", policy=POLICY)
    said = [Word(0, 0.9, " a"), Word(1, 1.9, " b"), Word(2.5, 2.7, " c"), Word(3, 3.9, " d"), Word(4, 4.9, " e")]
    context.commit(said)
    assert context.trim_point(0.0) == 1.9
    assert context.trim_point(1.9) == 2.7


def test_nothing_to_trim():
    """Without committed words there is no place to trim."""
    assert CommittedContext(initial_prompt="", policy=POLICY).trim_point(0.0) is None
