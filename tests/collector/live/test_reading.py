from __future__ import annotations

from app.collector.facts import Segments
from app.collector.live.reading import missed
from app.collector.redis_io.connection import connect
from tests.collector.fake_store import FakeStore
from tests.collector.fakes import NOWHERE
from tests.collector.live.push import Meeting, Merged


async def test_pages_reach_the_meeting_s_seq_with_the_last_frame():
    """Frames before the last one keep since_seq, so a reader that is cut off reads again what it may not have."""
    meeting = Meeting(FakeStore(), connect(NOWHERE))
    for n in range(5):
        await meeting.commit(_segments(meeting, n), publish=False)
    row = meeting.store.found[meeting.id].row
    found = [each async for each in missed(meeting.store, row, since_seq=3, now_ms=0)]
    merged = Merged()
    for each in found:
        merged.take(each)
    assert len(merged.finals) == row.seq - 3
    assert [each["seq"] for each in found[:-1]] == [3] * (len(found) - 1)
    assert (found[-1]["type"], found[-1]["seq"]) == ("meeting.status", row.seq)


async def test_rows_of_later_changes_are_left_out():
    """They come with their own frame."""
    meeting = Meeting(FakeStore(), connect(NOWHERE))
    await meeting.commit(_segments(meeting, 0), publish=False)
    row = meeting.store.found[meeting.id].row
    await meeting.commit(_segments(meeting, 1), publish=False)
    merged = Merged()
    async for each in missed(meeting.store, row, since_seq=0, now_ms=0):
        merged.take(each)
    assert len(merged.finals) == 300


def _segments(meeting: Meeting, n: int) -> Segments:
    return Segments(tuple(meeting.final(f"{n}-{each}") for each in range(300)))


async def test_frames_stay_small():
    """Long segments are spread over several frames, because clients refuse messages of more than a megabyte."""
    meeting = Meeting(FakeStore(), connect(NOWHERE))
    await meeting.commit(meeting.segments(*("x" * 9000 for _ in range(150))), publish=False)
    row = meeting.store.found[meeting.id].row
    found = [each async for each in missed(meeting.store, row, since_seq=0, now_ms=0)]
    assert sum(len(each.get("confirmed", ())) for each in found) == 150
    assert max(len(str(each)) for each in found) < 300_000
