from __future__ import annotations

import logging

import pytest

from app.collector.health import Health
from tests.collector.clock import FakeClock


def healthy(clock: FakeClock) -> Health:
    """A state in which nothing is wrong."""
    health = Health(clock.monotonic, lag_alarm_s=60)
    health.set_database(ok=True)
    health.set_redis(ok=True)
    health.lag_s = 0.0
    health.tick("consumer")
    return health


def test_ready_when_nothing_is_wrong():
    """A used database, no lag and a moving loop are ready; nothing known is not."""
    clock = FakeClock()
    assert healthy(clock).obstacles() == ()
    assert Health(clock.monotonic, lag_alarm_s=60).obstacles() == ("database: unknown",)


def test_database_away_is_an_obstacle():
    """It is named, and gone with the next success."""
    health = healthy(FakeClock())
    health.set_database(ok=False)
    assert health.obstacles() == ("database: unhealthy",)
    health.set_database(ok=True)
    assert health.obstacles() == ()


def test_database_that_can_only_be_read_is_an_obstacle():
    """A successful read does not hide that writes fail."""
    health = healthy(FakeClock())
    health.set_database(ok=False, use="write")
    health.set_database(ok=True)
    assert health.database == "unhealthy"
    health.set_database(ok=True, use="write")
    assert health.obstacles() == ()


def test_redis_away_is_none():
    """Transcripts can be read without Redis; the reader's age tells when it lasts."""
    health = healthy(FakeClock())
    health.set_redis(ok=False)
    assert health.obstacles() == ()


def test_lag_over_the_alarm_is_an_obstacle():
    """The limit itself is allowed, and an unknown lag is none."""
    health = healthy(FakeClock())
    health.lag_s = 60.0
    assert health.obstacles() == ()
    health.lag_s = 61.0
    assert health.obstacles() == ("lag: 61 s is over 60 s (LAG_ALARM_S)",)
    health.lag_s = None
    assert health.obstacles() == ()


async def test_loop_that_stands_still_is_an_obstacle():
    """After 30 s without a tick, until the next one; a loop that ended on purpose is none."""
    clock = FakeClock()
    health = healthy(clock)
    await clock.advance(30)
    assert health.obstacles() == ()
    await clock.advance(1)
    assert health.obstacles() == ("consumer: no progress for 31 s",)
    health.forget("consumer")
    assert health.obstacles() == ()


async def test_loop_that_waits_for_redis_names_it():
    """Redis away is the reason that a person needs, beside the loop that stands still."""
    clock = FakeClock()
    health = healthy(clock)
    health.set_redis(ok=False)
    await clock.advance(31)
    assert health.obstacles() == ("redis: unhealthy", "consumer: no progress for 31 s")


async def test_an_outage_is_a_line_for_each_reason_and_one_for_its_end(caplog: pytest.LogCaptureFixture):
    """However often the loops try; a new reason, such as a wrong password after a restart, is told."""
    clock = FakeClock()
    health = Health(clock.monotonic, lag_alarm_s=60)
    with caplog.at_level(logging.INFO):
        health.set_redis(ok=True)
        for _ in range(3):
            health.set_redis(ok=False, reason="ConnectionError: refused")
            health.set_database(ok=False, use="write", reason="disk full")
            health.set_database(ok=True)
            await clock.advance(5)
        health.set_redis(ok=False, reason="AuthenticationError: wrong")
        health.set_redis(ok=True)
        health.set_database(ok=True, use="write")
    assert [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records] == [
        ("Redis does not answer; trying again until it does", {"reason": "ConnectionError: refused"}),
        ("the database does not answer; trying again until it does", {"reason": "disk full"}),
        ("Redis does not answer; trying again until it does", {"reason": "AuthenticationError: wrong"}),
        ("Redis answers again", {"away_s": 15.0}),
        ("the database answers again", {"away_s": 15.0}),
    ]
