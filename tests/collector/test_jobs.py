from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from app.collector.errors import DatabaseAway
from app.collector.facts import Entry, Revision, Room, SegmentFact, Segments
from app.collector.health import Health
from app.collector.jobs import Ages, Job, StoreJobs, repeat, run_once
from app.collector.metrics import CollectorMetrics
from app.collector.rows import Applied, Change, Deletion, MeetingRow
from tests.collector.clock import FakeClock
from tests.collector.fake_store import FakeStore

DAY_MS = 86_400_000
MEETING = MeetingRow(42, 1, "google_meet", "abc", "completed", None, None, {}, 3, None, 0, 0)


def said(ms: int, *, completed: bool, room: str = "abc") -> Entry:
    """An entry with one segment."""
    fact = Segments((SegmentFact("k", has_id=True, text="words", completed=completed),))
    return Entry("s", Revision(ms, 0), Room("google_meet", room), "c1", None, "c1", (fact,))


@dataclass
class Bench:
    """The store's jobs at a stream time that the test sets."""

    retention_days: int = 0
    stream_ms: int = 0
    store: FakeStore = field(default_factory=FakeStore)
    published: list[Applied] = field(default_factory=list)
    purged: list[Deletion] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = CollectorMetrics(Health(FakeClock().monotonic, lag_alarm_s=60))
        ages = Ages(draft_promote_s=30, meeting_idle_s=900, retention_days=self.retention_days)
        self.jobs = StoreJobs(self.store, ages, self._time, self._publish, self._purge, self.metrics)

    def last(self) -> Applied:
        """What was published last."""
        return self.published[-1]

    async def _time(self) -> int:
        return self.stream_ms

    async def _publish(self, result: Applied) -> None:
        self.published.append(result)

    async def _purge(self, deletion: Deletion) -> None:
        self.purged.append(deletion)


async def test_drafts_are_promoted_on_stream_time():
    """A draft becomes final 30 s of stream time after its last news, and readers are told."""
    bench = Bench()
    await bench.store.apply([said(1_000, completed=False)])
    bench.stream_ms = 31_000
    await bench.jobs.promote()
    assert bench.published == []
    bench.stream_ms = 31_001
    await bench.jobs.promote()
    assert [row.promoted for row in bench.last().changes[0].segments] == [True]
    assert "collector_promoted_total 1.0" in bench.metrics.render()[0].decode()


async def test_silent_meetings_end_on_stream_time():
    """After 900 s of stream time, not sooner."""
    bench = Bench()
    await bench.store.apply([said(0, completed=True)])
    bench.stream_ms = 900_000
    await bench.jobs.end()
    assert bench.published == []
    bench.stream_ms = 900_001
    await bench.jobs.end()
    assert bench.last().changes[0].meeting.status == "completed"


async def test_missing_finals_are_counted():
    """As many as the store says."""
    bench = Bench()
    bench.store.missing = 3
    await bench.jobs.recheck()
    assert "collector_missing_segments_total 3.0" in bench.metrics.render()[0].decode()


async def test_old_meetings_are_deleted_and_purged():
    """All of them in small steps; nothing without RETENTION_DAYS."""
    for days, expected in ((7, 25), (0, 0)):
        bench = Bench(retention_days=days)
        await bench.store.apply([said(n, completed=True, room=f"room-{n}") for n in range(25)])
        await bench.store.end_meetings(now_ms=DAY_MS, idle_s=900)
        bench.stream_ms = 8 * DAY_MS
        await bench.jobs.expire()
        assert len(bench.purged) == expected


async def test_jobs_run_at_their_intervals():
    """At once, then each at its own pace; the loop ticks at every look."""
    clock, ran = FakeClock(), list[tuple[str, float]]()
    health = Health(clock.monotonic, lag_alarm_s=60)

    def job(name: str, every_s: float) -> Job:
        async def run() -> None:
            ran.append((name, clock.monotonic()))

        return Job(name, every_s, run)

    running = asyncio.create_task(repeat([job("a", 2), job("b", 3)], clock=clock, health=health))
    await asyncio.sleep(0)
    await clock.advance(4)
    assert ran == [("a", 0), ("b", 0), ("a", 2), ("b", 3), ("a", 4)]
    assert health.loop_ages_s() == {"jobs": 0}
    running.cancel()


def raises(error: Exception) -> Callable[[], Awaitable[None]]:
    """A job that fails."""

    async def run() -> None:
        raise error

    return run


@pytest.mark.parametrize("error", [DatabaseAway(), OSError(), RuntimeError("secret")], ids=repr)
async def test_a_failed_job_is_logged_and_tried_again(error: Exception, caplog: pytest.LogCaptureFixture):
    """Whatever it raises; the log has no message of the error."""
    health = Health(FakeClock().monotonic, lag_alarm_s=60)
    with caplog.at_level(logging.DEBUG):
        await run_once(Job("j", 1, raises(error)), health)
    assert caplog.records[0].__dict__["fields"]["job"] == "j"
    assert "secret" not in str([record.__dict__ for record in caplog.records])
    assert (health.database == "unhealthy") is isinstance(error, DatabaseAway)


async def test_every_job_of_the_store_has_an_interval():
    """Four jobs, each with its own name."""
    jobs = Bench().jobs.all()
    assert len({job.name for job in jobs}) == 4
    assert all(job.every_s > 0 for job in jobs)


async def test_a_job_goes_on_until_nothing_is_left():
    """One transaction takes some meetings only, and a backlog has more."""
    bench = Bench()
    left = [Applied((Change(MEETING, 1),)) for _ in range(3)]

    async def step(**_: object) -> Applied:
        return left.pop() if left else Applied()

    bench.store.end_meetings = bench.store.promote_drafts = step  # type: ignore[method-assign]
    await bench.jobs.end()
    assert len(bench.published) == 3
    left += [Applied((Change(MEETING, 1),))] * 2
    await bench.jobs.promote()
    assert len(bench.published) == 5
