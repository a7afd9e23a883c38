from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.collector.health import Health
from app.collector.ingest import Ingest, IngestParts, Stopping
from app.collector.metrics import CollectorMetrics
from app.collector.redis_io.connection import Client, connect
from app.collector.redis_io.reader import ReadOptions, StreamReader
from app.collector.rows import Applied
from app.contracts.collector import SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM
from tests.collector.clock import FakeClock
from tests.collector.fake_store import FakeStore
from tests.collector.plain_entries import add, dead, decode, payload, pending
from tests.servers import RedisServer


@dataclass
class Bench:
    """A consumer on a real Redis and a fake store."""

    redis: Client
    url: str
    clients: list[Client] = field(default_factory=list)
    store: FakeStore = field(default_factory=FakeStore)
    clock: FakeClock = field(default_factory=FakeClock)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    published: list[Applied] = field(default_factory=list)
    tombstoned: int = 0
    after_commit: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.health = Health(self.clock.monotonic, lag_alarm_s=60)
        self.metrics = CollectorMetrics(self.health)

    def consumer(self, name: str = "a", **options: Any) -> Ingest:
        """One that waits for nothing, and takes deliveries over at once unless told otherwise."""
        blocking = connect(self.url)
        self.clients.append(blocking)
        defaults: dict[str, Any] = {"block_ms": 5, "linger_s": 0.0, "claim_idle_ms": 0}
        read = ReadOptions((SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM), "g", name, **(defaults | options))
        parts = IngestParts(
            reader=StreamReader(blocking, self.redis, read),
            store=self.store,
            decode=decode,
            publish=self._publish,
            tombstoned=self._tombstoned,
            after_commit=self._after_commit,
            health=self.health,
            metrics=self.metrics,
            clock=self.clock,
            max_deliveries=3,
        )
        return Ingest(parts, self.stop)

    def metric(self, line: str) -> bool:
        """Is this line among the metrics?"""
        return line in self.metrics.render()[0].decode().splitlines()

    def _after_commit(self) -> None:
        self.after_commit()  # tests replace it

    async def _publish(self, result: Applied) -> None:
        self.published.append(result)

    async def _tombstoned(self) -> None:
        self.tombstoned += 1


@pytest.fixture
async def bench(redis_server: RedisServer) -> AsyncIterator[Bench]:
    """With a group that exists."""
    async with connect(redis_server.url) as redis:
        made = Bench(redis, redis_server.url)
        await made.consumer().round()
        yield made
        for client in made.clients:
            await client.aclose()


async def test_entries_are_stored_acknowledged_and_published(bench: Bench):
    """One transaction for the batch, nothing left pending, one publication."""
    await add(bench.redis, payload("1", "one"), payload("2", "two"))
    await bench.consumer().round()
    assert bench.store.texts() == ["one", "two"]
    assert bench.store.batches == [2]
    assert await pending(bench.redis) == 0
    assert [row.text for row in bench.published[0].changes[0].segments] == ["one", "two"]
    assert bench.metric('collector_segments_total{kind="new"} 2.0')


async def test_nothing_is_acknowledged_before_the_commit(bench: Bench):
    """A process that ends between both leaves the entry pending; delivered again, it changes nothing."""
    await add(bench.redis, payload("1", "one"))

    def killed() -> None:
        raise SystemExit

    bench.after_commit = killed
    with pytest.raises(SystemExit):
        await bench.consumer("killed").round()
    assert bench.store.texts() == ["one"]
    assert await pending(bench.redis) == 1
    bench.after_commit = lambda: None
    await bench.consumer("next").round()
    assert bench.store.texts() == ["one"]
    assert await pending(bench.redis) == 0
    assert bench.metric("collector_claimed_total 1.0")


async def test_poison_entries_go_to_the_dead_letters(bench: Bench):
    """Not JSON, not text, a list, a missing field: the entries between them are stored, and none comes again."""
    await add(
        bench.redis,
        payload("1", "one"),
        "no JSON",
        b"\xff\xfe",
        "[]",
        '{"key": "x"}',
        "x" * 5_000_000,
        payload("2", "two"),
    )
    await bench.consumer().round()
    assert bench.store.texts() == ["one", "two"]
    assert await pending(bench.redis) == 0
    letters = await dead(bench.redis)
    assert [letter["payload"][:10] for letter in letters] == ["no JSON", "\udcff\udcfe", "[]", '{"key": "x', "x" * 10]
    assert letters[2]["error"] == "payload is not an object"
    assert letters[3]["error"] == "KeyError"
    assert bench.metric('collector_dead_letters_total{reason="unusable"} 5.0')


async def test_a_flood_of_poison_is_one_line(bench: Bench, caplog: pytest.LogCaptureFixture):
    """The log says how many entries went where, not one line for each."""
    await add(bench.redis, *["no JSON"] * 20)
    await bench.consumer().round()
    (fields,) = (record.__dict__["fields"] for record in caplog.records)
    assert fields == {"reason": "unusable", "entries": 20, "kept_in": f"{SEGMENTS_STREAM}:dead"}


async def test_partly_usable_entry_is_stored_and_kept(bench: Bench):
    """What can be used is in the store, the whole entry with the reason in the dead letters."""
    await add(bench.redis, payload("1", "one", problem="segments[1]: no text"))
    await bench.consumer().round()
    assert bench.store.texts() == ["one"]
    assert [letter["error"] for letter in await dead(bench.redis)] == ["segments[1]: no text"]
    assert await pending(bench.redis) == 0


async def test_refused_entry_goes_to_the_dead_letters(bench: Bench):
    """The store's reason is kept, and the entry is acknowledged."""
    (first, _) = await add(bench.redis, payload("1", "one"), payload("2", "two"))
    bench.store.refuse = lambda entry: "the token has expired" if str(entry.revision) == first else None
    await bench.consumer().round()
    assert bench.store.texts() == ["two"]
    assert [(letter["id"], letter["error"]) for letter in await dead(bench.redis)] == [(first, "the token has expired")]
    assert await pending(bench.redis) == 0


async def test_a_bug_on_one_entry_holds_up_no_other(bench: Bench):
    """The batch is tried entry by entry; the bad one stays pending until it has come too often."""
    ids = await add(
        bench.redis, payload("1", "one"), payload("2", "bad", problem="also partly unusable"), payload("3", "three")
    )
    bench.store.poison = lambda entry: str(entry.revision) == ids[1]
    consumer = bench.consumer()
    await consumer.round()
    assert bench.store.texts() == ["one", "three"]
    for _ in range(2):
        assert await pending(bench.redis) == 1
        assert await dead(bench.redis) == []
        await bench.clock.advance(10)
        await consumer.round()
    assert await pending(bench.redis) == 0
    (letter,) = await dead(bench.redis)
    assert (letter["id"], letter["error"], letter["deliveries"]) == (ids[1], "RuntimeError", "3")
    assert bench.metric('collector_dead_letters_total{reason="poison"} 1.0')


async def test_an_entry_that_ends_the_process_does_not_do_so_for_ever(bench: Bench):
    """Delivered twice as often as allowed, it is no longer tried."""
    (id_,) = await add(bench.redis, payload("1", "one"))
    await bench.consumer("killed", block_ms=1)._parts.reader.read()
    await bench.redis.xclaim(SEGMENTS_STREAM, "g", "killed", 0, [id_], retrycount=6)
    await bench.consumer().round()
    assert bench.store.texts() == []
    assert [letter["deliveries"] for letter in await dead(bench.redis)] == ["7"]


async def test_database_away_means_waiting(bench: Bench):
    """No acknowledgement and no further reading until it is back; the claim is renewed meanwhile."""
    await add(bench.redis, payload("1", "one"))
    bench.store.away = True
    consumer = bench.consumer()
    waiting = asyncio.create_task(consumer.round())
    await _until(lambda: bench.clock.sleepers == 1)
    (id_,) = await add(bench.redis, payload("2", "two"))
    await bench.redis.xclaim(
        SEGMENTS_STREAM, "g", "a", 0, [(await _pending_ids(bench.redis))[0]], idle=60_000, justid=True
    )
    for _ in range(4):  # 0.5, 1, 2 and 4 s
        await bench.clock.advance(5)
        await _until(lambda: bench.clock.sleepers == 1)
    assert bench.health.obstacles() == ("database: unhealthy",)
    assert await _pending_ids(bench.redis) != [id_]
    assert await pending(bench.redis) == 1
    answer: Any = await bench.redis.xpending_range(SEGMENTS_STREAM, "g", "-", "+", 9)
    assert answer[0]["time_since_delivered"] < 60_000
    assert answer[0]["times_delivered"] == 1
    bench.store.away = False
    await bench.clock.advance(5)
    await waiting
    await consumer.round()
    assert bench.store.texts() == ["one", "two"]
    assert bench.health.obstacles() == ()


async def test_stopping_while_the_database_is_away_leaves_the_batch(bench: Bench):
    """The loop ends without an acknowledgement, so another consumer gets the batch."""
    await add(bench.redis, payload("1", "one"))
    bench.store.away = True
    waiting = asyncio.create_task(bench.consumer().round())
    await _until(lambda: bench.clock.sleepers == 1)
    bench.stop.set()
    with pytest.raises(Stopping):
        await waiting
    assert await pending(bench.redis) == 1


async def test_entries_of_deleted_meetings_are_told(bench: Bench):
    """So that their copies go from the stream; the entry itself is acknowledged."""
    bench.store.deleted.add((1, "google_meet", "abc"))
    await add(bench.redis, payload("1", "one"))
    await bench.consumer().round()
    assert bench.tombstoned == 1
    assert await pending(bench.redis) == 0


async def test_entries_trimmed_before_they_were_stored_are_counted(bench: Bench):
    """They are lost, which nobody may overlook."""
    (id_,) = await add(bench.redis, payload("1", "one"))
    await bench.consumer("killed")._parts.reader.read()
    await bench.redis.xdel(SEGMENTS_STREAM, id_)
    await bench.consumer().round()
    assert bench.metric("collector_trimmed_pending_total 1.0")


async def test_full_redis_holds_up_dead_letters_only(bench: Bench):
    """What is stored is acknowledged, so that the stream can be trimmed; the rest waits."""
    await add(bench.redis, payload("1", "one"), "no JSON")
    consumer = bench.consumer()
    await bench.redis.config_set("maxmemory", "1")
    await consumer.round()
    assert await pending(bench.redis) == 1
    await bench.redis.config_set("maxmemory", "0")
    await bench.clock.advance(10)
    await consumer.round()
    assert await pending(bench.redis) == 0
    assert len(await dead(bench.redis)) == 1


async def test_loop_survives_a_restart_of_redis(bench: Bench, redis_server: RedisServer):
    """Redis goes and comes back empty: the loop waits, creates its group again and stores on."""
    consumer = bench.consumer()
    running = asyncio.create_task(consumer.run())
    await _until(lambda: bench.health.redis == "healthy")
    redis_server.stop()
    await _until(lambda: bench.health.redis == "unhealthy")
    redis_server.empty()
    redis_server.start()
    await add(bench.redis, payload("1", "one"))
    while bench.store.texts() != ["one"]:
        await bench.clock.advance(1)
        await asyncio.sleep(0.005)
    bench.stop.set()
    await running
    assert bench.health.loop_ages_s() == {}


async def test_redis_that_never_answered_makes_the_process_unready(bench: Bench, redis_server: RedisServer):
    """A wrong REDIS_URL is seen after 30 s, as if Redis had gone later."""
    redis_server.stop()
    bench.health.set_database(ok=True)
    running = asyncio.create_task(bench.consumer().run())
    await _until(lambda: bench.health.redis == "unhealthy")
    while len(bench.health.obstacles()) < 2:
        await bench.clock.advance(5)
        await asyncio.sleep(0.005)
    assert bench.health.obstacles()[0] == "redis: unhealthy"
    assert bench.health.obstacles()[1].startswith("consumer: no progress for ")
    bench.stop.set()
    await running


async def test_loop_survives_a_bug(bench: Bench):
    """Whatever is raised, the loop goes on."""
    await add(bench.redis, payload("1", "one"))
    failures = iter([True])

    def fails_once() -> None:
        if next(failures, False):
            raise RuntimeError("secret")

    bench.after_commit = fails_once
    running = asyncio.create_task(bench.consumer().run())
    await _until(lambda: bench.clock.sleepers == 1)
    while await pending(bench.redis):
        await bench.clock.advance(10)
        await asyncio.sleep(0.005)
    bench.stop.set()
    await running
    assert bench.store.texts() == ["one"]


async def test_a_failed_acknowledgement_is_repeated(bench: Bench, redis_server: RedisServer):
    """Redis goes between commit and acknowledgement: the batch is stored once and acknowledged later."""
    await add(bench.redis, payload("1", "one"))
    bench.after_commit = redis_server.stop
    waiting = asyncio.create_task(bench.consumer().round())
    await _until(lambda: bench.clock.sleepers == 1)
    assert bench.store.texts() == ["one"]
    redis_server.start()
    while not waiting.done():
        await bench.clock.advance(1)
        await asyncio.sleep(0.005)
    await waiting
    assert await pending(bench.redis) == 0
    assert bench.store.batches == [1]


async def test_logs_hold_no_text(bench: Bench, caplog: pytest.LogCaptureFixture):
    """Whatever goes wrong, no line quotes an entry or an exception's message."""
    ids = await add(
        bench.redis, payload("1", "secret one"), "secret two", payload("3", "secret three", problem="secret")
    )
    bench.store.poison = lambda entry: str(entry.revision) == ids[0]
    await bench.consumer().round()
    assert caplog.records
    assert not any(
        "secret" in str(record.__dict__) or "may hold text" in str(record.__dict__) for record in caplog.records
    )


async def _pending_ids(redis: Client) -> list[str]:
    answer: Any = await redis.xpending_range(SEGMENTS_STREAM, "g", "-", "+", 100)
    return [each["message_id"] for each in answer]


async def _until(holds: Callable[[], bool]) -> None:
    """Wait for another task."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.001)


async def test_a_refusal_that_may_change_is_asked_again(bench: Bench):
    """The entry stays pending; refused once more when it was claimed, it goes to the dead letters."""
    (first, second) = await add(bench.redis, payload("1", "one"), payload("2", "two"))
    bench.store.refuse = lambda entry: "the token has expired" if str(entry.revision) in (first, second) else None
    bench.store.refusals_may_change = True
    consumer = bench.consumer()
    await consumer.round()
    assert await pending(bench.redis) == 2
    bench.store.refuse = lambda entry: "the token has expired" if str(entry.revision) == first else None
    await bench.clock.advance(10)
    await consumer.round()
    assert bench.store.texts() == ["two"]
    assert [letter["id"] for letter in await dead(bench.redis)] == [first]
    assert await pending(bench.redis) == 0
