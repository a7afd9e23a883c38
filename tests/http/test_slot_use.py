from __future__ import annotations

from app.http.slot_use import SlotUse
from tests.fakes import FakeClock


def test_every_moment_of_every_slot_is_counted():
    """Two slots that overlap add up, also in the middle of their work; free slots add nothing."""
    clock = FakeClock()
    use = SlotUse(clock)
    clock.advance(100)
    use.take()
    clock.advance(1)
    use.take()
    clock.advance(2)
    assert use.slot_s == 5
    use.give_back()
    clock.advance(4)
    use.give_back()
    clock.advance(100)
    assert use.slot_s == 9


def test_the_time_without_progress_begins_with_the_work():
    """It is 0 on an idle worker however long it idles, and starts again with every slot that is given back."""
    clock = FakeClock()
    use = SlotUse(clock)
    clock.advance(1000)
    assert use.without_progress_s == 0
    use.take()
    clock.advance(30)
    use.take()
    clock.advance(30)
    assert use.without_progress_s == 60, "a further request is no progress of the first"
    use.give_back()
    clock.advance(5)
    assert use.without_progress_s == 5
    use.give_back()
    clock.advance(1000)
    assert use.without_progress_s == 0
