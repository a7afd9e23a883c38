"""What tests share: a clean environment, default signals, a worker with the fake engine, Redis and databases."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from app.settings.publishing import PublishingSettings
from app.settings.worker import WorkerSettings
from tests.clients import Worker, worker
from tests.servers import PostgresServer, RedisServer, running_postgres, running_redis

TESTS = Path(__file__).resolve().parent
# Other processes, browsers, real time or a model at work: run by `make test`, left out by `make check`.
SLOW = (
    "bench/test_random_model.py",
    "cluster/test_cluster.py",
    "cluster/test_cluster_life.py",
    "cluster/test_cluster_start.py",
    "cluster/test_cluster_transcripts.py",
    "cluster/test_gateways_behind_nginx.py",
    "cluster/test_monitor.py",
    "cluster/test_mtail.py",
    "cluster/test_nginx.py",
    "cluster/test_nginx_collector.py",
    "cluster/test_nginx_limits.py",
    "cluster/test_nginx_live.py",
    "cluster/test_nginx_metrics.py",
    "cluster/test_nginx_real_ip.py",
    "cluster/test_render.py",
    "cluster/test_resolve.py",
    "cluster/test_tools.py",
    "collector/checks",
    "collector/api/test_openapi.py",
    "collector/api/routes/test_stream.py",
    "collector/live/test_hub.py",
    "collector/live/test_service.py",
    "commands/test_listen.py",
    "deploy",
    "e2e",
    "engine/test_steady_sound.py",
    "engine/test_transcriber.py",
    "engine/whisper/test_determinism.py",
    "helm",
    "http/response/test_openapi.py",
    "live/client/test_client.py",
    "live/publish/test_link.py",
    "live/test_gateway.py",
    "live/test_server.py",
    "load/test_client.py",
    "monitoring/test_alert_fires.py",
    "monitoring/test_dashboards_under_load.py",
    "monitoring/test_known_metrics.py",
    "monitoring/test_scrape.py",
    "monitoring/test_tools.py",
    "supply",
    "test_load_test_client.py",
    "test_soak.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests by where they stand."""
    slow = tuple(TESTS / path for path in SLOW)
    for item in items:
        if any(item.path.is_relative_to(path) for path in slow) or _needs_server(item):
            item.add_marker(pytest.mark.slow)


def _needs_server(item: pytest.Item) -> bool:
    """Does the test start Redis or PostgreSQL? `make check` works where neither is installed."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    names = set(getattr(item, "fixturenames", ()))
    return bool(names & {"redis_server", "postgres"}) or parameters.get("database_url") == "postgresql"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the user who runs the tests."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name in (*WorkerSettings.model_fields, *PublishingSettings.model_fields, "redis_stream_url"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="session")
def _default_signals() -> Iterator[None]:
    """Let child processes start with the default SIGINT and SIGQUIT.

    A shell without job control starts its background jobs with both ignored, and every child inherits that: a test
    that interrupts one would wait for ever. SIGHUP stays as it is, so that `nohup` still works.
    """
    handlers: dict[signal.Signals, Callable[[int, FrameType | None], object] | signal.Handlers] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGQUIT: signal.SIG_DFL,
    }
    ignored = [number for number in handlers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, handlers[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
async def open_worker() -> AsyncIterator[Worker]:
    """A worker without keys, warm, with the fake engine."""
    async with worker() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole run; each test gets a database of its own."""
    folder = Path(tempfile.mkdtemp(prefix="stt-postgres-"))  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    try:
        with running_postgres(folder / "server") as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database; the test runs once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'collector.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"test_{uuid.uuid4().hex}"
    yield server.create_database(name)
    server.drop_database(name)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with running_redis(tmp_path / "redis") as server:
        yield server
