from app.live.publish.backlog import RECENT_S, Backlog, Recent, Waiting
from app.live.publish.payloads import LiveFrame
from tests.live.publish.fakes import entry


def waiting(n):
    """The n-th entry, in a queue."""
    return Waiting(entry(n), float(n))


def test_entries_keep_their_order():
    """Also if some return to their place because they were not published."""
    backlog = Backlog()
    for n in range(5):
        backlog.put(waiting(n))
    taken = backlog.take(3)
    backlog.put(waiting(5))
    assert backlog.put_back(taken[1:]) == 0
    assert [each.since_s for each in backlog.take(9)] == [1, 2, 3, 4, 5]


def test_the_oldest_are_dropped():
    """Beyond the limit, also by entries that return."""
    backlog = Backlog(max_entries=2)
    assert [backlog.put(waiting(n)) for n in range(3)] == [0, 0, 1]
    taken = backlog.take(2)
    backlog.put(waiting(3))
    assert backlog.put_back(taken) == 1
    assert [each.since_s for each in backlog.take(9)] == [2, 3]


def test_drafts_come_after_the_entries_before_them():
    """Of each session only the newest ones, and none while entries wait."""
    backlog = Backlog()
    for n in range(3):
        backlog.show("a", (LiveFrame("a", str(n)),))
    backlog.show("b", (LiveFrame("b", "0"),))
    backlog.put(waiting(0))
    assert backlog.take_frames() == []
    backlog.take(1)
    assert [(frame.channel, frame.message) for frame in backlog.take_frames()] == [("a", "2"), ("b", "0")]
    assert not backlog.has_frames


def test_recent_entries_are_kept_for_two_minutes_before_the_last_answer():
    """However long ago that answer was: a Redis that comes back empty lacks them."""
    recent = Recent()
    recent.add([entry(0)], 0.0)
    recent.add([entry(1)], 100.0)
    recent.answered(RECENT_S + 1)
    assert recent.entries() == [entry(1)]


def test_starts_of_open_sessions_are_kept():
    """They come first, once; a session that is over keeps its start no longer than its other entries."""
    recent = Recent()
    start = entry(0, kind="session_start")
    recent.opened("c")
    recent.add([start], 0.0)
    recent.add([entry(1)], 1000.0)
    assert recent.entries() == [start, entry(1)]
    recent.answered(1000.0)
    assert recent.entries() == [start, entry(1)]
    recent.closed("c")
    assert recent.entries() == [entry(1)]


def test_a_session_that_was_closed_before_its_start_was_published():
    """Its start is not kept for ever."""
    recent = Recent()
    recent.opened("c")
    recent.closed("c")
    recent.add([entry(0, kind="session_start")], 0.0)
    recent.answered(RECENT_S + 1)
    assert recent.entries() == []
