from __future__ import annotations

import pytest

from app.collector.store.store import Store
from tests.collector.store.entries import final
from tests.collector.store.reading import the_meeting


async def test_people_add_to_a_meeting(store: Store):
    """What they add is merged and counted as a change; the same again is none."""
    await store.apply([final(1000, "a", 0, 900, "x")])
    meeting = await the_meeting(store)
    patched = await store.patch_meeting(meeting.id, {"name": "Standup"}, now_ms=2000)
    assert (patched.data, patched.seq) == ({"name": "Standup"}, 2)
    patched = await store.patch_meeting(meeting.id, {"name": "Standup", "notes": "n"}, now_ms=2000)
    assert patched == await the_meeting(store)
    assert (await store.patch_meeting(meeting.id, {"notes": "n"}, now_ms=2000)).seq == 3
    with pytest.raises(LookupError):
        await store.patch_meeting(5, {}, now_ms=2000)


async def test_a_store_answers_while_its_database_does(store: Store):
    """A sign of life, and the log can be emptied at any time."""
    await store.ping()
    await store.checkpoint()
