from app.contracts.whisperlive import Language, Transcript
from app.live.policy.hypothesis import Word
from app.live.policy.segmenting import segment_of
from app.live.policy.windows import Update
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer


def seg(text, start, end, *, completed=True):
    """A segment of one word."""
    return segment_of([Word(start, end, f" {text}")], completed=completed)


def renderer(last_n=10, *, with_words=False):
    """A renderer for client "u"."""
    return WhisperLiveRenderer("u", last_n=last_n, with_words=with_words)


def shape(message):
    """Texts of a transcript message, a partial in brackets."""
    assert isinstance(message, Transcript)
    return [s.text.strip() if s.completed else f"({s.text.strip()})" for s in message.segments]


def sent(view, *updates):
    """The shapes of all messages for the updates."""
    return [shape(message) for update in updates for message in view.messages(update)]


def test_final_is_shown_as_partial_first():
    """The stock client appends its last partial unless it equals the last completed segment, so it always equals it."""
    view = renderer()
    assert sent(
        view, Update(partial=seg("We al", 0, 1, completed=False)), Update(completed=(seg("We all.", 0, 2),))
    ) == [
        ["(We al)"],
        ["(We all.)"],
        ["We all."],
    ]


def test_partial_that_becomes_final_unchanged_is_not_repeated():
    """If the partial already had the text, one message is enough."""
    view = renderer()
    updates = (Update(partial=seg("We all.", 0, 2, completed=False)), Update(completed=(seg("We all.", 0, 2),)))
    assert sent(view, *updates) == [["(We all.)"], ["We all."]]


def test_more_finals_than_the_window_travel_in_several_messages():
    """Every completed segment is among the last N of some message."""
    view = renderer(last_n=2)
    finals = tuple(seg(f"s{i}", i, i + 0.5) for i in range(5))
    messages = sent(view, Update(completed=finals))
    seen = {text for message in messages for text in message if not text.startswith("(")}
    assert seen == {"s0", "s1", "s2", "s3", "s4"}
    assert all(len([t for t in message if not t.startswith("(")]) <= 2 for message in messages)


def test_window_slides():
    """Each message contains the newest completed segments and the partial, which comes last."""
    view = renderer(last_n=2)
    for i in range(4):
        list(view.messages(Update(completed=(seg(f"s{i}", i, i + 0.5),))))
    assert sent(view, Update(partial=seg("now", 5, 6, completed=False))) == [["s2", "s3", "(now)"]]


def test_zero_means_all():
    """A client that requests 0 gets all segments that are kept."""
    view = renderer(last_n=0)
    finals = tuple(seg(f"s{i}", i, i + 0.5) for i in range(30))
    assert len(sent(view, Update(completed=finals))[-1]) == 30


def test_vanished_partial_is_replaced_by_the_last_final():
    """Noise that looked like a word must not stay as the client's last partial."""
    view = renderer()
    list(view.messages(Update(completed=(seg("Yes.", 0, 1),))))
    list(view.messages(Update(partial=seg("you", 3, 4, completed=False))))
    assert sent(view, Update()) == [["(Yes.)"], ["Yes."]]
    assert sent(view, Update()) == []


def test_vanished_partial_without_any_final():
    """Without a completed segment, a blank text takes its place."""
    view = renderer()
    list(view.messages(Update(partial=seg("you", 3, 4, completed=False))))
    assert sent(view, Update()) == [["()"]]


def test_unchanged_partial_is_not_sent_again():
    """An unchanged partial leads to no message."""
    view = renderer()
    partial = seg("We", 0, 1, completed=False)
    assert len(sent(view, Update(partial=partial), Update(partial=partial))) == 1


def test_starts_never_precede_the_previous_end():
    """Also after rounding to milliseconds, where the stock client compares."""
    view = renderer()
    update = Update(completed=(seg("a", 0.0, 1.00049), seg("b", 1.0, 2.0), seg("c", 1.9999, 1.9999)))
    final = list(view.messages(update))[-1].segments
    assert [(s.start, s.end) for s in final] == [("0.000", "1.000"), ("1.000", "2.000"), ("2.000", "2.002")]


def test_equal_neighbours_keep_their_space():
    """Two equal sentences in a row are two segments with a leading space each."""
    view = renderer()
    final = list(view.messages(Update(completed=(seg("Okay.", 0, 1), seg("Okay.", 1, 2)))))[-1].segments
    assert [s.text for s in final] == [" Okay.", " Okay."]


def test_a_final_segment_never_changes():
    """It is repeated with the same times and text as long as it is in the window."""
    view = renderer()
    first = list(view.messages(Update(completed=(seg("a", 0, 1),))))[-1].segments[0]
    later = list(view.messages(Update(completed=(seg("b", 1, 2),))))[-1].segments[0]
    assert first == later


def test_language_comes_first_and_alone():
    """A message with a language has nothing else, because the stock client would not read it."""
    view = renderer()
    update = Update(completed=(seg("a", 0, 1),), language=("de", 0.87654))
    first, *rest = view.messages(update)
    assert first == Language(uid="u", language="de", language_prob=0.8765)
    assert all(isinstance(message, Transcript) for message in rest)


def test_words_if_asked_for():
    """Completed segments have words, with times as strings of three decimals and probabilities of four digits."""
    view = renderer(with_words=True)
    segment = segment_of([Word(0.5, 0.75, " Hi", 0.98765)], completed=True)
    final = list(view.messages(Update(completed=(segment,))))[-1].segments[0]
    assert final.words is not None
    assert final.words[0].model_dump() == {"word": " Hi", "start": "0.500", "end": "0.750", "probability": 0.9877}


def test_starts_increase_strictly():
    """Segments that should lie before the previous one follow it, each at a start of its own."""
    view = renderer()
    late = tuple(seg(text, 4.0, 4.5) for text in ("b", "c"))
    *_, last = [m for m in view.messages(Update(completed=(seg("a", 0, 5), *late))) if isinstance(m, Transcript)]
    times = [(segment.start, segment.end) for segment in last.segments]
    assert times == [("0.000", "5.000"), ("5.000", "5.002"), ("5.002", "5.004")]
