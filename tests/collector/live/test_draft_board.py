from __future__ import annotations

from app.collector.live.draft_board import DraftBoard
from app.collector.live.draft_message import Drafts, Segment


def segment(text: str, segment_id: str, speaker: str | None = None) -> Segment:
    """A segment as frames have it, reduced."""
    return {"segment_id": segment_id, "text": text, "speaker": speaker}


def drafts(*texts: str, after: int) -> Drafts:
    """Drafts of connection c."""
    return Drafts("c", after, tuple(segment(each, f"c:draft:{n}") for n, each in enumerate(texts)))


def board() -> DraftBoard:
    """A board that follows connection c."""
    found = DraftBoard()
    found.follow("c")
    return found


def shown(found: DraftBoard) -> list[str]:
    """The texts of all drafts."""
    return [each["text"] for segments in found.pending().values() for each in segments]


def test_a_draft_waits_for_the_final_before_it():
    """It is held back until final after - 1 was shown."""
    found = board()
    found.session(drafts("and", after=2), now_s=0)
    found.confirm([segment("one", "c:0")])
    assert shown(found) == []
    found.confirm([segment("two", "c:1")])
    assert shown(found) == ["and"]


def test_a_draft_waits_for_a_second_at_most():
    """A final that does not come holds nothing back for longer; the next drafts of the same place pass at once."""
    found = board()
    found.session(drafts("an", after=5), now_s=0)
    found.session(drafts("and", after=5), now_s=0.9)
    found.tick(0.99)
    assert shown(found) == []
    found.tick(1.0)
    assert shown(found) == ["and"]
    found.session(drafts("and then", after=5), now_s=1.1)
    assert shown(found) == ["and then"]


def test_a_final_takes_the_place_of_its_draft():
    """The draft disappears with the final, and one that comes late is not shown again."""
    found = board()
    found.session(drafts("hello", after=0), now_s=0)
    assert shown(found) == ["hello"]
    found.confirm([segment("hello.", "c:0")])
    assert shown(found) == []
    found.session(drafts("hello", after=0), now_s=0.1)
    assert shown(found) == []


def test_an_empty_list_removes_the_drafts():
    """Nothing is being said; this too waits for the final that holds the text."""
    found = board()
    found.session(drafts("hello", after=0), now_s=0)
    found.session(drafts(after=1), now_s=0.1)
    assert shown(found) == ["hello"]
    found.confirm([segment("hello.", "c:0")])
    assert shown(found) == []


def test_drafts_without_news_expire():
    """A producer that died leaves no draft behind."""
    found = board()
    found.session(drafts("hello", after=0), now_s=0)
    found.bundle("Ann", [segment("hi", "b:1", "Ann")], now_s=0)
    found.tick(59.9)
    assert shown(found) == ["hello", "hi"]
    found.tick(60)
    assert shown(found) == []


def test_drafts_of_the_store_end_with_their_final_or_retraction():
    """Rows that are drafts are shown until then."""
    found = board()
    found.stored([segment("a", "x:1"), segment("b", "x:2")])
    found.confirm([segment("a.", "x:1")])
    assert shown(found) == ["b"]
    found.retract(["x:2"])
    assert shown(found) == []


def test_what_a_bot_says_is_a_draft_until_the_store_has_it():
    """Its finals stay as drafts, and never come back after the store's final."""
    found = board()
    found.bundle("Ann", [segment("hi", "b:1", "Ann")], now_s=0)
    assert shown(found) == ["hi"]
    found.confirm([segment("hi", "b:1", "Ann")])
    assert shown(found) == []
    found.bundle("Ann", [segment("hi", "b:1", "Ann"), segment("so", "b:2", "Ann")], now_s=1)
    assert shown(found) == ["so"]


def test_connections_that_are_not_followed_are_ignored():
    """Their drafts cannot be placed."""
    found = DraftBoard()
    found.session(drafts("hello", after=0), now_s=0)
    assert shown(found) == []
