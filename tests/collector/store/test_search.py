from __future__ import annotations

from typing import Any

import pytest

from app.collector.errors import BadCursor
from app.collector.facts import Room
from app.collector.rows import Hit, Page
from app.collector.store.store import Store
from tests.collector.store.entries import T0, draft, final

SAID = (
    "The budget is tight.",
    "We discussed the budgets of <Q3> & more.",
    "Das Café öffnet früh.",
    "我们讨论了预算问题。",
    "Привет мир, как дела?",
    "tight is the budget",
)


async def find(store: Store, query: str, *, owner_id: int = 1, **options: Any) -> Page[Hit]:
    """A search of an owner."""
    more: dict[str, Any] = {
        "platform": None,
        "from_ms": None,
        "to_ms": None,
        "speaker": None,
        "limit": 20,
        "cursor": None,
    }
    return await store.search(owner_id, query, **(more | options))


async def found(store: Store, query: str, **options: Any) -> list[int]:
    """Which of SAID a search finds."""
    return sorted(SAID.index(hit.segment.text) for hit in (await find(store, query, **options)).items)


@pytest.fixture
async def spoken(store: Store) -> Store:
    """A store with SAID in it, and others' words."""
    speakers = ("Ann", "Bob", None, None, None, "ann")
    await store.apply([
        final(1000 + i, f"c1:{i}", i * 1000, i * 1000 + 900, text, speaker=speakers[i], gateway=True)
        for i, text in enumerate(SAID)
    ])  # fmt: skip
    await store.apply([draft(9000, "d", 9000, 9500, "budget draft")])
    other = Room("google_meet", "theirs", meeting_id=5, owner_id=2)
    await store.apply([final(1000, "x", 0, 900, "their budget", room=other, session="theirs")])
    return store


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("budget", [0, 5]),
        ("BUDGET tight", [0, 5]),
        ('"budget is tight"', [0]),
        ('"is tight', [0]),
        ("budg*", [0, 1, 5]),
        ("cafe", [2]),
        ("café früh", [2]),
        ("offn*", [2]),
        ("预算", [3]),
        ("讨论 问题", [3]),
        ("算预", []),
        ("ПРИВЕТ", [4]),
        ("q3", [1]),
        ("nothing", []),
    ],
)
async def test_words_phrases_and_beginnings_are_found(spoken: Store, query: str, expected: list[int]):
    """All words of a query must be there, in any script; only finals of the owner count."""
    assert await found(spoken, query) == expected


@pytest.mark.parametrize(
    "query",
    ["", "*", '"', '""', "AND", "OR NOT", "NEAR(a b)", "a:b", "(", "^x",
     "-x", "'", "a'b\\", "\0", "🙂", "{a b}:c", "%", ":*", "<->"],
)  # fmt: skip
async def test_no_query_is_a_syntax_error(spoken: Store, query: str):
    """What is neither word, phrase nor beginning only separates words."""
    assert await found(spoken, query) == []


async def test_filters_narrow_a_search(spoken: Store):
    """By platform, time and speaker."""
    assert await found(spoken, "budget", platform="zoom") == []
    assert await found(spoken, "budget", platform="google_meet") == [0, 5]
    assert await found(spoken, "budget", speaker="ann") == [0, 5]
    assert await found(spoken, "budg*", speaker="Bob") == [1]
    begin_ms = (await find(spoken, "q3")).items[0].segment.abs_start_ms
    assert await found(spoken, "budg*", from_ms=begin_ms) == [1, 5]
    assert await found(spoken, "budg*", to_ms=begin_ms) == [0]


async def test_pages_follow_each_other(spoken: Store):
    """The last stored comes first; the cursor of a page leads to the next."""
    first = await find(spoken, "budg*", limit=2)
    second = await find(spoken, "budg*", limit=2, cursor=first.next_cursor)
    assert [SAID.index(hit.segment.text) for hit in (*first.items, *second.items)] == [5, 1, 0]
    assert second.next_cursor is None
    with pytest.raises(BadCursor):
        await find(spoken, "budget", cursor="nonsense")


async def test_a_hit_shows_its_meeting_and_place(spoken: Store):
    """Matches are marked and everything else is escaped."""
    (hit,) = (await find(spoken, "q3")).items
    assert hit.snippet == "We discussed the budgets of &lt;<b>Q3</b>&gt; &amp; more."
    assert hit.meeting.native_id == "abc-defg-hij"
    assert hit.segment.created_ms == T0 + 1001


async def test_a_meeting_is_found_by_its_new_owner_only(store: Store):
    """A token that comes later gives a meeting of the default owner to its owner, with all that was said before."""
    room = Room("google_meet", "abc", meeting_id=7)
    await store.apply([final(1000, "a", 0, 900, "their budget", room=room)])
    assert len((await find(store, "budget")).items) == 1
    claimed = Room("google_meet", "abc", meeting_id=7, owner_id=2)
    await store.apply([final(2000, "b", 1000, 1900, "another budget", room=claimed)])
    assert (await find(store, "budget")).items == ()
    assert len((await find(store, "budget", owner_id=2)).items) == 2


async def test_the_mark_of_an_owner_is_not_a_word(store: Store):
    """Words that look like the index's own marks find texts only."""
    await store.apply([final(1000, "a", 0, 900, "the owner1 of owner:1"), final(1001, "b", 1000, 1900, "nothing")])
    for query in ("owner1", '"owner 1"', "owner1*", "owner*"):
        assert [hit.segment.key for hit in (await find(store, query)).items] == ["a"]
    assert (await find(store, "owner2*")).items == ()
