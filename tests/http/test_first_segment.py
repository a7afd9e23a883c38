from __future__ import annotations

from app.core.transcript import AudioInfo, Progress, Timings
from app.http.first_segment import FirstSegmentWatch
from tests.fakes import FakeClock
from tests.transcripts import SEGMENT


def test_only_the_first_segment_is_reported():
    """With the lane and the seconds since the request's head; progress and the language are no text."""
    clock, told = FakeClock(10.0), list[tuple[str, float]]()
    watch = FirstSegmentWatch(9.5, lambda lane, seconds: told.append((lane, seconds)), clock)
    for before in (Progress(0.0, 60.0), AudioInfo("en", 1.0, 60.0, "long"), Progress(1.0, 60.0)):
        watch.see(before)
    clock.advance(2)
    watch.see(SEGMENT)
    clock.advance(2)
    for after in (SEGMENT, Timings()):
        watch.see(after)
    assert told == [("long", 2.5)]


def test_audio_without_speech_has_no_first_segment():
    """Nothing is reported."""
    told = list[tuple[str, float]]()
    watch = FirstSegmentWatch(0.0, lambda lane, seconds: told.append((lane, seconds)), FakeClock())
    watch.see(AudioInfo("en", 0.0, 60.0))
    watch.see(Timings())
    assert told == []
