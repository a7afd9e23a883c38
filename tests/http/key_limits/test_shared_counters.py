from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

import pytest

from app.http.key_limits.counters import OwnCounters
from app.http.key_limits.shared_counters import MAX_OWED, SharedCounters
from tests.clients import until


class Away(Exception):
    """Like a Redis that does not answer."""


class Elsewhere(OwnCounters):
    """Counters that several workers share and that can be away; renewing puts requests back."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.n_asked = 0
        self.closed = False

    def _ask(self) -> None:
        self.n_asked += 1
        if self.away:
            raise Away("gone")

    async def add(self, counter: str, amount: int, *, expires_s: int) -> int:
        """See `Counters`."""
        self._ask()
        return await super().add(counter, amount, expires_s=expires_s)

    async def read(self, counter: str) -> int:
        """See `Counters`."""
        self._ask()
        return await super().read(counter)

    async def enter(self, name: str, request: str, *, limit: int | None) -> bool:
        """See `Counters`."""
        self._ask()
        return await super().enter(name, request, limit=limit)

    async def leave(self, name: str, request: str) -> None:
        """See `Counters`."""
        self._ask()
        await super().leave(name, request)

    async def running(self, name: str) -> int:
        """See `Counters`."""
        self._ask()
        return await super().running(name)

    async def renew(self, running: Mapping[str, Sequence[str]], *, put_back: bool) -> None:
        """See `RemoteCounters`."""
        self._ask()
        if put_back:
            for name, requests in running.items():
                for request in requests:
                    await super().enter(name, request, limit=None)

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


async def test_workers_count_together():
    """Both see what both have counted, and share the places for running requests."""
    elsewhere = Elsewhere()
    one, two = (SharedCounters(elsewhere, away_error=Away) for _ in range(2))
    assert [await one.add("a", 1, expires_s=60), await two.add("a", 1, expires_s=60)] == [1, 2]
    assert await one.read("a") == 2
    assert await one.enter("alice", "x", limit=1)
    assert not await two.enter("alice", "y", limit=1)
    assert [await one.running("alice"), await two.running("alice")] == [1, 1]
    await one.leave("alice", "x")
    assert await two.enter("alice", "y", limit=1)


async def test_away_each_worker_counts_for_itself_and_asks_no_more(caplog: pytest.LogCaptureFixture):
    """Nobody is refused because of it; one line says so, and one that it is over. What runs is noted again."""
    caplog.set_level(logging.INFO, "app.keys")
    elsewhere = Elsewhere()
    counters = SharedCounters(elsewhere, away_error=Away)
    assert await counters.add("a", 1, expires_s=60) == 1
    elsewhere.away = True
    assert await counters.add("a", 1, expires_s=60) == 2
    n_asked = elsewhere.n_asked
    assert await counters.enter("alice", "x", limit=1)
    assert not await counters.enter("alice", "y", limit=1)
    assert [await counters.read("a"), await counters.running("alice")] == [2, 1]
    assert elsewhere.n_asked == n_asked
    await counters.renew()
    elsewhere.away = False
    await counters.renew()
    assert await elsewhere.running("alice") == 1
    assert await counters.add("a", 1, expires_s=60) == 3  # not less than it has counted itself
    await counters.leave("alice", "x")
    assert await elsewhere.running("alice") == 0
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.records[0].__dict__["fields"] == {"reason": "gone"}


async def test_a_request_that_ends_while_away_does_not_run_on_elsewhere():
    """Once the shared counts are back they hear of it: a key with one place is not refused because of a short break."""
    elsewhere = Elsewhere()
    one, two = (SharedCounters(elsewhere, away_error=Away) for _ in range(2))
    assert await one.enter("alice", "x", limit=1)
    elsewhere.away = True
    await one.leave("alice", "x")
    await one.renew()
    elsewhere.away = False
    assert not await two.enter("alice", "y", limit=1)
    await one.renew()
    assert await two.enter("alice", "y", limit=1)


async def test_only_so_many_ends_are_remembered_while_away():
    """The memory of a long break is bounded; its first requests are those that the shared counts know."""
    elsewhere = Elsewhere()
    counters = SharedCounters(elsewhere, away_error=Away)
    elsewhere.away = True
    for number in range(MAX_OWED + 10):
        assert await counters.enter("alice", str(number), limit=None)
        await counters.leave("alice", str(number))
    elsewhere.away, elsewhere.n_asked = False, 0
    await counters.renew()
    assert elsewhere.n_asked == MAX_OWED + 1


async def test_it_recovers_by_itself():
    """The task that renews notices that the shared counts are away and back; at its end it closes them."""
    elsewhere = Elsewhere()
    counters = SharedCounters(elsewhere, away_error=Away)
    elsewhere.away = True
    renewing = asyncio.create_task(counters.keep_renewing(every_s=0.001))
    await until(lambda: elsewhere.n_asked > 2)
    elsewhere.away = False
    n_asked = elsewhere.n_asked
    await until(lambda: elsewhere.n_asked > n_asked + 1)
    assert await counters.add("a", 1, expires_s=60) == 1
    assert await elsewhere.read("a") == 1
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)
    assert elsewhere.closed
