import asyncio
import json
import logging

from app.contracts.whisperlive import Handshake
from app.live.metrics import GatewayMetrics
from app.live.policy.windows import Update
from app.live.publish import publisher as publisher_module
from app.live.publish.backlog import RECENT_S, Backlog
from app.live.publish.payloads import LiveFrame
from app.live.publish.publisher import BATCH, FLUSH_S, Publisher, PublisherOptions
from app.live.publish.spool import Spool
from tests.clients import until
from tests.live import virtual
from tests.live.publish.fakes import FakeLink, entry, payload_of, seg

BOT = Handshake.model_validate({"uid": "u", "token": "secret", "meeting_id": 7})


def publisher(link, *, metrics=None, spool=None, **options):
    """A publisher to this Redis; its task runs."""
    return Publisher(link, PublisherOptions(gateway="g", **options), metrics or GatewayMetrics(), spool=spool)


def dropped(metrics, reason):
    """How many entries were dropped for this reason."""
    return metrics.registry.get_sample_value("wsgw_publish_dropped_total", {"reason": reason}) or 0


def test_entries_and_drafts_are_published():
    """In order, counted, and the drafts after the finals before them."""

    async def main():
        link, metrics = FakeLink(), GatewayMetrics()
        publishing = publisher(link, metrics=metrics)
        publishing.show("c", (LiveFrame("c", "old"),))
        for n in range(3):
            publishing.put(entry(n), LiveFrame("bundle", str(n)) if n == 1 else None)
        publishing.show("c", (LiveFrame("c", "new"),))
        await asyncio.sleep(0.1)
        assert link.entries == [entry(n) for n in range(3)]
        assert [frame.message for frame in link.frames] == ["1", "new"]
        assert publishing.health() == {"connected": True, "backlog": 0}
        assert metrics.registry.get_sample_value("wsgw_published_total", {"kind": "transcription"}) == 3
        assert metrics.registry.get_sample_value("wsgw_publish_seconds_count") == 3
        await publishing.close()
        assert link.is_closed

    virtual.run(main())


def test_a_recorder_publishes_a_session():
    """Its connection id begins with the session's id; the handshake's fields arrive unchanged."""

    async def main():
        link = FakeLink()
        publishing = publisher(link)
        recorder = publishing.recorder("s1", BOT)
        recorder.audio(16_000)
        recorder.update(Update(completed=(seg("a", 0, 1),)))
        recorder.end("left", unheard_s=0)
        await asyncio.sleep(0.1)
        payloads = [payload_of(item) for item in link.entries]
        assert [payload["type"] for payload in payloads] == ["session_start", "transcription", "session_end"]
        assert {(p["token"], p["meeting_id"], p["uid"]) for p in payloads} == {("secret", 7, "u")}
        assert payloads[0]["connection_id"].startswith("s1")
        assert payloads[0]["gateway"] == "g"
        await publishing.close()

    virtual.run(main())


def test_connection_ids_differ():
    """Also for the same session id."""

    async def main():
        link = FakeLink()
        publishing = publisher(link)
        for _ in range(2):
            publishing.recorder("s1", BOT).audio(1)
        await asyncio.sleep(0.1)
        assert len({item.connection_id for item in link.entries}) == 2
        await publishing.close()

    virtual.run(main())


def test_redis_away():
    """What waits is published when it returns, in order and once; until then health says so."""

    async def main():
        link = FakeLink(away=True)
        publishing = publisher(link)
        for n in range(2 * BATCH):
            publishing.put(entry(n))
        await asyncio.sleep(60)
        assert publishing.health() == {"connected": False, "backlog": 2 * BATCH}
        link.away = False
        await asyncio.sleep(5.1)
        assert link.entries == [entry(n) for n in range(2 * BATCH)]
        assert max(link.batches) == BATCH
        await publishing.close()

    virtual.run(main())


def test_a_redis_that_restarts_empty_gets_the_last_two_minutes_again():
    """Starts of open sessions, and finals and speaker events of the last 120 s before it went away."""

    async def main():
        link = FakeLink()
        publishing = publisher(link)
        publishing.recorder("old", BOT).audio(1)
        await asyncio.sleep(1)
        start = link.entries[0]
        publishing.put(entry(1))
        await asyncio.sleep(RECENT_S + 5)
        publishing.put(entry(2))
        publishing.put(entry(3, kind="speaker_event"))
        await asyncio.sleep(1)
        link.away = True
        await asyncio.sleep(10 * RECENT_S)
        link.away = False
        link.restart_empty()
        publishing.put(entry(4))
        await asyncio.sleep(10)
        assert link.entries == [start, entry(2), entry(3, kind="speaker_event"), entry(4)]
        link.restart_empty()
        await asyncio.sleep(5)
        assert link.entries[0] == start
        await publishing.close()

    virtual.run(main())


def test_a_restart_between_two_batches_is_noticed():
    """Also if redis-py connects again by itself, and nothing else is said."""

    async def main():
        link = FakeLink()
        publishing = publisher(link)
        publishing.put(entry(0))
        await asyncio.sleep(1)
        link.restart_empty()
        publishing.put(entry(1))
        await asyncio.sleep(1)
        assert sorted(item.fields["payload"] for item in link.entries) == [
            entry(0).fields["payload"],
            entry(1).fields["payload"],
        ]
        for _ in range(3):  # what is sent again is not remembered once more
            link.restart_empty()
            await asyncio.sleep(5)
            assert len(link.entries) == 2
        await publishing.close()

    virtual.run(main())


def test_a_full_redis():
    """Entries wait, Redis is asked again and again, and everything arrives when it has room."""

    async def main():
        link = FakeLink(refusal="Redis is full")
        publishing = publisher(link)
        publishing.put(entry(0))
        await asyncio.sleep(20)
        assert publishing.health() == {"connected": True, "backlog": 1}
        link.refusal = ""
        await asyncio.sleep(6)
        assert link.entries == [entry(0)]
        await publishing.close()

    virtual.run(main())


def test_a_stream_that_nobody_reads():
    """Above REDIS_STREAM_MAX nothing is added until it is shorter."""

    async def main():
        link = FakeLink(extra=1001)
        publishing = publisher(link, stream_max=1000)
        await asyncio.sleep(3)
        publishing.put(entry(0))
        await asyncio.sleep(20)
        assert (link.entries, publishing.backlog) == ([], 1)
        link.extra = 0
        await asyncio.sleep(6)
        assert link.entries == [entry(0)]
        await publishing.close()

    virtual.run(main())


def test_beyond_the_bounds_the_oldest_are_dropped_loudly(monkeypatch, caplog):
    """They are counted, and the log says so without a word of them."""
    monkeypatch.setattr(publisher_module, "Backlog", lambda: Backlog(max_entries=10))

    async def main():
        metrics, link = GatewayMetrics(), FakeLink(away=True)
        publishing = publisher(link, metrics=metrics)
        for n in range(25):
            publishing.put(entry(n))
        assert dropped(metrics, "backlog") == 15
        link.away = False
        await asyncio.sleep(1)
        assert link.entries == [entry(n) for n in range(15, 25)]
        await publishing.close()

    with caplog.at_level(logging.WARNING):
        virtual.run(main())
    assert any("dropped" in record.message for record in caplog.records)


def test_the_end_waits_a_moment_for_redis():
    """What it takes within two seconds is published; the rest is counted, and the end is not delayed further."""

    async def main():
        metrics, link = GatewayMetrics(), FakeLink(hangs_s=0.5)
        publishing = publisher(link, metrics=metrics)
        publishing.put(entry(0))
        await publishing.close()
        assert link.entries == [entry(0)]
        link = FakeLink(hangs_s=1000)
        publishing = publisher(link, metrics=metrics)
        publishing.put(entry(1))
        began_s = asyncio.get_running_loop().time()
        await publishing.close()
        assert asyncio.get_running_loop().time() - began_s <= FLUSH_S + 0.01
        assert dropped(metrics, "shutdown") == 1

    virtual.run(main())


def test_logs_hold_nothing_of_the_session(caplog):
    """No text, no name, no token, whatever goes wrong."""

    class Broken(FakeLink):
        async def send(self, entries, frames):
            raise ValueError(json.dumps([dict(item.fields) for item in entries]))

    async def main():
        publishing = publisher(Broken())
        recorder = publishing.recorder("s1", Handshake.model_validate({"uid": "u", "token": "secret" * 1000}))
        recorder.audio(16_000)
        recorder.update(Update(completed=(seg("spoken", 0, 1),)))
        recorder.control("speaker_activity", {"event_type": "no", "participant_name": "Alice"})
        await asyncio.sleep(10)
        await publishing.close()

    with caplog.at_level(logging.DEBUG):
        virtual.run(main())
    logged = " ".join(f"{record.getMessage()} {record.__dict__.get('fields')}" for record in caplog.records)
    assert "bug" in logged
    assert "too long" in logged
    for word in ("spoken", "Alice", "secret"):
        assert word not in logged


async def test_with_a_spool_nothing_waits_in_memory(tmp_path):
    """While Redis is away entries are on disk, and published from there when it returns."""
    link = FakeLink(away=True)
    publishing = publisher(link, spool=Spool(tmp_path))
    for n in range(5):
        publishing.put(entry(n))
    await until(lambda: publishing.backlog == 0)
    assert publishing.health()["spooled_bytes"] > 0
    link.away = False
    await until(lambda: len(link.entries) == 5)
    assert link.entries == [entry(n) for n in range(5)]
    await until(lambda: publishing.health()["spooled_bytes"] == 0)
    await publishing.close()
    assert list(tmp_path.iterdir()) == []


async def test_the_spool_survives_the_gateway(tmp_path):
    """What one gateway left, the next one publishes at its start."""
    link = FakeLink(away=True)
    first = publisher(link, spool=Spool(tmp_path))
    await asyncio.sleep(0.05)
    first.put(entry(0))
    await first.close()
    metrics, link = GatewayMetrics(), FakeLink()
    (path,) = tmp_path.glob("spool-*")
    path.write_bytes(path.read_bytes() + b'{"half')
    second = publisher(link, spool=Spool(tmp_path), metrics=metrics)
    await until(lambda: link.entries == [entry(0)])
    await until(lambda: dropped(metrics, "spool") == 1)
    await second.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_broken_disk_changes_nothing(tmp_path):
    """If the spool cannot be written, entries wait in memory."""

    class Broken(Spool):
        def append(self, entries):
            raise OSError(28, "No space left on device")

        def adopt(self):
            raise OSError(13, "Permission denied")

    link = FakeLink(away=True)
    publishing = publisher(link, spool=Broken(tmp_path))
    publishing.put(entry(0))
    await asyncio.sleep(0.1)
    assert publishing.backlog == 1
    link.away = False
    await until(lambda: link.entries == [entry(0)])
    await publishing.close()
