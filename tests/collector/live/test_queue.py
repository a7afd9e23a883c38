from __future__ import annotations

from app.collector.live.queue import ClientQueue, Dropped, Item


def item(n: int, *, meeting_id: int = 1, passing: bool = False, size: int = 1) -> Item:
    """A frame."""
    return Item(meeting_id, str(n) * size, n, passing)


def drained(queue: ClientQueue) -> list[int]:
    """What comes out."""
    found = []
    while (each := queue.pop()) is not None:
        found.append(each.seq)
    return found


def test_frames_come_out_in_order():
    """First in, first out, and nothing is dropped while there is room."""
    queue = ClientQueue()
    assert not any(queue.put(item(n)).frames for n in range(256))
    assert drained(queue) == list(range(256))


def test_drafts_go_first_when_the_queue_is_full():
    """Drafts are dropped and their meetings named; the frames stay."""
    queue = ClientQueue(max_frames=3)
    for each in (item(1), item(2, passing=True, meeting_id=7), item(3)):
        queue.put(each)
    dropped = queue.put(item(4))
    assert dropped == Dropped(drafts=frozenset({7}))
    assert drained(queue) == [1, 3, 4]


def test_a_draft_never_drops_frames():
    """A draft that finds no room is dropped itself."""
    queue = ClientQueue(max_frames=2)
    queue.put(item(1))
    queue.put(item(2))
    dropped = queue.put(item(3, passing=True))
    assert dropped == Dropped(drafts=frozenset({1}))
    assert drained(queue) == [1, 2]


def test_everything_goes_when_frames_alone_are_too_many():
    """All meetings of which something was dropped must be read again."""
    queue = ClientQueue(max_frames=2)
    queue.put(item(1, meeting_id=1))
    queue.put(item(2, meeting_id=2))
    assert queue.put(item(3, meeting_id=3)).frames == {1, 2, 3}
    assert drained(queue) == []


def test_size_counts_too_but_one_frame_always_fits():
    """Large frames fill the queue sooner; a frame above the limit is sent alone."""
    queue = ClientQueue(max_characters=10)
    assert not queue.put(item(1, size=50)).frames
    assert queue.put(item(2)).frames == {1}
    queue.put(item(3, size=6))
    assert queue.put(item(4, size=6)).frames == {1}


def test_a_meeting_can_be_forgotten():
    """Its frames do not come out, and their room is free."""
    queue = ClientQueue(max_frames=2)
    queue.put(item(1, meeting_id=1))
    queue.put(item(2, meeting_id=2))
    queue.forget(1)
    assert not queue.put(item(3, meeting_id=2)).frames
    assert drained(queue) == [2, 3]
