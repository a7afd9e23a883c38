"""The collector's services on a fake store and a fake clock."""

from __future__ import annotations

from app.collector.clock import Clock
from app.collector.health import Health
from app.collector.metrics import CollectorMetrics
from app.collector.redis_io.connection import Client, connect
from app.collector.rows import Applied, Deletion
from app.collector.services import ApiOptions, Services
from app.contracts.collector import SEGMENTS_STREAM
from tests.collector.clock import FakeClock
from tests.collector.fake_store import FakeStore

__all__ = ["FakeClock", "FakeStore", "services"]

NOWHERE = "redis://127.0.0.1:1/0"  # connects at the first command only, and then fails


def services(
    *,
    store: FakeStore | None = None,
    clock: Clock | None = None,
    redis: Client | None = None,
    published: list[Applied] | None = None,
    purged: list[Deletion] | None = None,
    keys: tuple[str, ...] = (),
    needs_key: bool = False,
    internal_secret: str = "",
    trust_x_user_id: bool = False,
) -> Services:
    """What the application is built from; `published` and `purged` receive what the API hands on."""
    clock = clock or FakeClock()
    health = Health(clock.monotonic, lag_alarm_s=60)

    async def publish(result: Applied) -> None:
        if published is not None:
            published.append(result)

    async def purge(deletion: Deletion) -> None:
        if purged is not None:
            purged.append(deletion)

    return Services(
        store=store or FakeStore(),
        health=health,
        metrics=CollectorMetrics(health),
        redis=redis or connect(NOWHERE),
        options=ApiOptions(
            keys=keys,
            needs_key=needs_key,
            internal_secret=internal_secret,
            trust_x_user_id=trust_x_user_id,
            stream=SEGMENTS_STREAM,
            meeting_idle_s=900.0,
        ),
        publish=publish,
        purge=purge,
        clock=clock,
    )
