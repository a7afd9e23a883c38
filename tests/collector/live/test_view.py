from __future__ import annotations

from typing import Any

import pytest

from app.collector.live.draft_message import Drafts
from app.collector.live.view import View

MEETING = {"id": 1, "platform": "zoom", "native_id": "9"}
TS = "2026-02-15T09:20:03Z"
PLAIN: dict[str, Any] = {"pending": []}


def segment(text: str, segment_id: str, speaker: str | None = None) -> dict[str, Any]:
    """A segment as frames have it, reduced."""
    return {"segment_id": segment_id, "text": text, "speaker": speaker}


def frame(prev_seq: int, seq: int, *finals: str, speaker: str | None = None) -> dict[str, Any]:
    """A transcript frame of connection c."""
    confirmed = [segment(f"w{each}", f"c:{each}", speaker) for each in finals]
    numbers = {"seq": seq, "prev_seq": prev_seq, "ts": TS}
    return {
        "type": "transcript",
        "meeting": MEETING,
        "speaker": speaker,
        "confirmed": confirmed,
        "pending": [],
        **numbers,
    }


def take(view: View, value: dict[str, Any]) -> list[dict[str, Any]]:
    """Give a view a frame."""
    return view.frame(value, now_s=0, ts=TS)


def up_to_date(seq: int = 5) -> View:
    """A view that has read the store."""
    view = View(MEETING, since_seq=0, sessions=["c"])
    view.reading()
    assert view.caught_up(seq, ts=TS) == []
    return view


def test_frames_follow_and_repeat_and_miss():
    """The next one is sent, a known one is not, and a gap makes the view read."""
    view = up_to_date(5)
    assert take(view, frame(5, 6, "0")) == [frame(5, 6, "0")]
    assert take(view, frame(5, 6, "0")) == []
    assert not view.behind
    assert take(view, frame(7, 8, "2")) == []
    assert view.behind
    assert view.position == 6


def test_all_frames_of_a_change_are_taken():
    """Only the last one raises the position."""
    view = up_to_date(5)
    assert take(view, frame(5, 5, "0", speaker="Ann"))
    assert view.position == 5
    assert take(view, frame(5, 8, "1", speaker="Bob"))
    assert view.position == 8


def test_what_comes_while_reading_is_read_too():
    """A frame that the reading may not have seen makes the view read again; then it is up to date."""
    view = up_to_date(5)
    view.fall_behind()
    view.reading()
    assert take(view, frame(7, 8, "2")) == []
    view.caught_up(7, ts=TS)
    assert view.behind
    view.reading()
    view.caught_up(8, ts=TS)
    assert not view.behind


def test_a_seq_that_the_store_never_had_ends():
    """Frames of another database on the same Redis do not make a view read for ever."""
    view = up_to_date(5)
    take(view, frame(98, 99, "7"))
    view.reading()
    view.caught_up(5, ts=TS)
    assert not view.behind


def test_overflow_goes_back_to_what_was_handed_over():
    """Everything that was given and not handed over is read again."""
    view = up_to_date(5)
    take(view, frame(5, 9, "0"))
    view.fall_behind(view.position, position=5)
    assert (view.behind, view.position) == (True, 5)


def test_drafts_stand_in_the_frames_of_their_speaker():
    """Clients replace a speaker's drafts by `pending`, so a final of another connection repeats them."""
    view = up_to_date(5)
    view.follow("d")
    (sent,) = view.drafts(Drafts("d", 0, (segment("and", "d:draft:0"),)), now_s=0, ts=TS)
    assert (sent["confirmed"], [each["text"] for each in sent["pending"]]) == ([], ["and"])
    assert (sent["seq"], sent["prev_seq"]) == (5, 5)
    (sent,) = take(view, frame(5, 6, "0"))
    assert [each["text"] for each in sent["pending"]] == ["and"]


def test_a_final_under_a_name_removes_its_draft():
    """The draft had no speaker, so a frame without drafts follows for nobody."""
    view = up_to_date(5)
    view.drafts(Drafts("c", 0, (segment("w0", "c:draft:0"),)), now_s=0, ts=TS)
    final, rest = take(view, frame(5, 6, "0", speaker="Ann"))
    assert final["speaker"] == "Ann"
    assert (rest["speaker"], rest["confirmed"], rest["pending"]) == (None, [], [])


def test_drafts_wait_until_the_view_is_up_to_date():
    """They are sent after what was read."""
    view = View(MEETING, since_seq=0, sessions=["c"])
    assert view.drafts(Drafts("c", 0, (segment("and", "c:draft:0"),)), now_s=0, ts=TS) == []
    view.reading()
    (sent,) = view.caught_up(5, ts=TS)
    assert sent["pending"]


def test_a_reader_that_comes_back_loses_old_drafts():
    """What it was shown by another process is replaced."""
    view = View(MEETING, since_seq=3)
    view.reading()
    (sent,) = view.caught_up(5, ts=TS)
    assert (sent["speaker"], sent["pending"]) == (None, [])


def test_dropped_drafts_are_sent_again():
    """Whatever the reader shows now."""
    view = up_to_date(5)
    view.drafts(Drafts("c", 0, (segment("and", "c:draft:0"),)), now_s=0, ts=TS)
    assert view.tick(now_s=0, ts=TS) == []
    view.lost_drafts()
    (sent,) = view.tick(now_s=0, ts=TS)
    assert [each["text"] for each in sent["pending"]] == ["and"]


def test_a_frame_that_cannot_be_read_moves_nothing():
    """Its number is not taken for reached, so the real frame with this number is shown."""
    view = up_to_date(5)
    broken = frame(5, 6, "0")
    del broken["confirmed"]
    with pytest.raises(KeyError):
        take(view, broken)
    assert take(view, frame(5, 6, "0")) == [frame(5, 6, "0")]
