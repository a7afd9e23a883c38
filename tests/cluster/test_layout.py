from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.cluster import redis_server
from app.cluster.layout import Layout, run_dir_of, share_of
from app.cluster.reconciler import Member
from app.cluster.transcripts import Transcripts
from app.commands import cluster as command
from app.core.errors import StartupError

LAYOUT = Layout(root=Path("/code"), run_dir=Path("/run/here"))
TWO = Member("worker", 2)
GATEWAY = Member("gateway", 1)


def test_members_have_consecutive_ports():
    """Workers and gateways each count from the first one's port."""
    assert LAYOUT.port_of(TWO) == 8002
    assert LAYOUT.port_of(GATEWAY) == 9091


def test_a_worker_gets_its_own_environment():
    """Its port, number, share of the cores and folder replace what it inherits."""
    env = LAYOUT.environment_of(TWO, {"PORT": "1", "TMPDIR": "/tmp", "BEAM_SIZE": "1"})  # noqa: S108 - replaced
    assert env["PORT"] == "8002"
    assert env["HOST"] == "127.0.0.1"
    assert env["WORKER_ID"] == "2"
    assert (env["CPU_THREADS"], env["REPLICAS"]) == ("1", "0")
    assert env["TMPDIR"] == "/run/here/worker-2"
    assert env["BEAM_SIZE"] == "1"
    assert "MODEL_SIZE" not in env


def test_workers_count_limits_in_the_redis_of_the_transcripts():
    """If keys have limits; without that Redis, in the one that they inherit, or each for itself."""
    stores = Transcripts(Path("/data"), redis_url="redis://mine/0")
    limited = replace(LAYOUT, key_limits=True)
    assert replace(limited, transcripts=stores).environment_of(TWO, {})["REDIS_URL"] == "redis://mine/0"
    assert limited.environment_of(TWO, {"REDIS_URL": "redis://other/0"})["REDIS_URL"] == "redis://other/0"
    assert "REDIS_URL" not in limited.environment_of(TWO, {})
    assert "REDIS_URL" not in replace(LAYOUT, transcripts=stores).environment_of(TWO, {})


def test_the_keys_file_reaches_the_layout(monkeypatch, tmp_path):
    """The setting decides whether keys have limits."""
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path / "keys.toml"))
    assert command._layout(command._parser().parse_args([]), tmp_path).key_limits


@pytest.mark.parametrize(
    ("cores", "workers", "given", "expected"),
    [
        (2, 3, (0, 0), (1, 1)),
        (12, 3, (0, 0), (4, 1)),
        (32, 2, (0, 0), (4, 4)),
        (16, 2, (2, 0), (2, 4)),
        (16, 2, (0, 8), (1, 8)),
        (4, 1, (3, 5), (3, 5)),
    ],
)
def test_workers_share_the_cores(cores, workers, given, expected):
    """All workers together use every core once; values that the operator sets are kept."""
    assert share_of(cores, workers, threads=given[0], replicas=given[1]) == expected


def test_workers_share_a_containers_quota(monkeypatch):
    """Three workers with a quota of six cores get two each, however many the machine has."""
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setattr(command, "available_cores", lambda: 6)
    arguments = command._parser().parse_args(["--workers", "3"])
    layout = command._layout(arguments, Path("/run/here"))
    assert (layout.cpu_threads, layout.replicas) == (2, 1)


def test_each_kind_has_its_own_grace_period(monkeypatch):
    """Workers use SHUTDOWN_GRACE_S, gateways DRAIN_GRACE_S."""
    monkeypatch.setenv("SHUTDOWN_GRACE_S", "4")
    monkeypatch.setenv("DRAIN_GRACE_S", "20")
    layout = command._layout(command._parser().parse_args([]), Path("/run/here"))
    assert (layout.shutdown_grace_s, layout.drain_grace_s) == (4, 20)


def test_an_invalid_setting_of_the_gateways_is_one_line(monkeypatch):
    """It is reported before anything starts."""
    monkeypatch.setenv("DRAIN_GRACE_S", "-1")
    with pytest.raises(StartupError, match="DRAIN_GRACE_S='-1'"):
        command._layout(command._parser().parse_args([]), Path("/run/here"))


@pytest.mark.parametrize(
    ("words", "setting", "expected"),
    [
        ([], None, ""),
        (["--demo"], None, "demo"),
        (["--local-model"], None, "tiny.en"),
        (["--demo"], "small", ""),
        (["--local-model"], "auto", ""),
    ],
)
def test_the_flags_choose_a_model_unless_one_is_set(monkeypatch, words, setting, expected):
    """`--demo` and `--local-model` stand back where MODEL_SIZE is set; without them the workers choose."""
    monkeypatch.setattr(command, "_local_model", lambda: "tiny.en")
    if setting is not None:
        monkeypatch.setenv("MODEL_SIZE", setting)
    layout = command._layout(command._parser().parse_args(words), Path("/run/here"))
    assert layout.model_size == expected


def test_the_local_model_is_found_by_another_process(monkeypatch):
    """Its answer is one name; its error is reported as it is."""
    monkeypatch.setenv("DEVICE", "cpu")
    assert command._local_model() in {"medium", "small", "base", "tiny.en", "demo"}
    monkeypatch.setenv("DEVICE", "abacus")
    with pytest.raises(StartupError, match=r"^DEVICE='abacus' is not allowed"):
        command._local_model()


def test_the_demo_model_is_set_for_every_worker():
    """`--demo` sets MODEL_SIZE."""
    assert replace(LAYOUT, model_size="demo").environment_of(TWO, {})["MODEL_SIZE"] == "demo"


def test_a_gateway_gets_the_url_and_key_of_transcription():
    """It calls the workers through nginx, with a key if they require one."""
    env = replace(LAYOUT, api_key="k").environment_of(GATEWAY, {})
    assert env["REMOTE_TRANSCRIBER_URL"] == "http://127.0.0.1:8083/v1/audio/transcriptions"
    assert env["REMOTE_TRANSCRIBER_API_KEY"] == "k"
    assert "REMOTE_TRANSCRIBER_API_KEY" not in LAYOUT.environment_of(GATEWAY, {})


def test_members_are_started_with_their_commands():
    """Workers by main.py, gateways by their subcommand, both on loopback and on their own ports."""
    assert LAYOUT.command_of(TWO, "python") == ["python", "/code/main.py"]
    assert LAYOUT.command_of(GATEWAY, "python")[1:] == [
        "-m", "app", "streaming", "--host", "127.0.0.1", "--port", "9091",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("10.1.2.3", "10.1.2.3"), ("::", "::1")],  # noqa: S104 - compared
)
def test_every_interface_is_reached_on_loopback(host, reached):
    """One cannot connect to a wildcard address."""
    assert replace(LAYOUT, host=host).loopback == reached


def test_nginx_gets_the_members_and_their_slots():
    """Addresses by kind, the slots of one worker, and the live port only if there are gateways."""
    env = LAYOUT.render_environment([GATEWAY, Member("worker", 1), TWO], slots=3, nofile=1024, revision=7)
    assert env["NGINX_WORKER_ADDRESSES"] == "127.0.0.1:8001 127.0.0.1:8002"
    assert env["NGINX_GATEWAY_ADDRESSES"] == "127.0.0.1:9091"
    assert env["NGINX_LIVE_LISTEN"] == "127.0.0.1:8990"
    assert env["MAX_CONCURRENT_TRANSCRIPTIONS"] == "3"
    assert env["NGINX_NOFILE"] == "1024"
    assert env["NGINX_CONFIGURATION"] == "7"
    assert replace(LAYOUT, max_clients=7).render_environment([TWO], slots=3, nofile=9, revision=7)["MAX_CLIENTS"] == "7"
    alone = LAYOUT.render_environment([TWO], slots=3, nofile=1024, revision=7)
    assert alone["NGINX_LIVE_LISTEN"] == "unix:/run/here/live.sock"


def test_an_ipv6_address_is_written_in_brackets():
    """For nginx and in URLs; a host alone has none."""
    layout = replace(LAYOUT, host="::1")
    env = layout.render_environment([GATEWAY, TWO], slots=3, nofile=1024, revision=7)
    assert (env["NGINX_LISTEN"], env["NGINX_LIVE_LISTEN"]) == ("[::1]:8083", "[::1]:8990")
    assert (layout.url, layout.loopback) == ("http://[::1]:8083", "::1")
    assert layout.environment_of(GATEWAY, {})["REMOTE_TRANSCRIBER_URL"].startswith("http://[::1]:8083/")


def test_transcripts_are_stored_where_the_gateways_publish(tmp_path):
    """Gateways and collector get the same Redis, each on a port of its own; without a collector nothing changes."""
    stores = Transcripts(tmp_path, redis_server="/usr/bin/redis-server", redis_password="p")  # noqa: S106 - no secret
    layout = replace(LAYOUT, transcripts=stores)
    redis, collector = Member("redis", 1), Member("collector", 1)
    assert (layout.port_of(redis), layout.port_of(collector)) == (6390, 8123)
    assert layout.command_of(redis, "python") == ["/usr/bin/redis-server", f"{tmp_path}/redis/redis.conf"]
    assert layout.command_of(collector, "python") == ["python", "-m", "app", "collect"]
    url = "redis://:p@127.0.0.1:6390/0"
    assert layout.environment_of(GATEWAY, {"REDIS_URL": ""})["REDIS_URL"] == url
    assert layout.environment_of(collector, {})["REDIS_URL"] == url
    assert "REDIS_URL" not in layout.environment_of(TWO, {})
    assert "REDIS_URL" not in LAYOUT.environment_of(GATEWAY, {})
    assert (layout.redis_servers, layout.collectors) == (1, 1)
    assert (LAYOUT.redis_servers, LAYOUT.collectors) == (0, 0)
    assert replace(layout, transcripts=replace(stores, redis_url="redis://elsewhere/0")).redis_servers == 0


def test_nginx_learns_the_collector_once_it_is_ready(tmp_path):
    """Its address is rendered if it is a member to route to, and else empty, which nginx answers with 404."""
    layout = replace(LAYOUT, transcripts=Transcripts(tmp_path))
    given = {"slots": 1, "nofile": 9, "revision": 1}
    assert layout.render_environment([Member("collector", 1), TWO], **given)["NGINX_COLLECTOR_ADDRESS"] == (
        "127.0.0.1:8123"
    )
    assert layout.render_environment([TWO], **given)["NGINX_COLLECTOR_ADDRESS"] == ""


@pytest.fixture
def _collector_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the collector's settings of the user who runs the tests."""
    for name in ("COLLECTOR_API_KEYS", "DATABASE_URL", "REDIS_URL", "TRUST_X_USER_ID", "INTERNAL_API_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_collector_settings")
def test_transcripts_are_kept_outside_the_clusters_folder(monkeypatch, tmp_path):
    """By default in the user's data folder, one for each public port; `--data` names another."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    parse = command._parser().parse_args
    stores = command._layout(parse(["--collector", "--port", "18083"]), Path("/run/here")).transcripts
    assert stores is not None
    assert stores.data_dir == tmp_path / "transcription-18083"
    assert stores.redis_server.endswith("redis-server")
    assert len(stores.redis_password) > 20
    other = command._layout(parse(["--collector", "--data", "/srv/text"]), Path("/run/here")).transcripts
    assert other is not None
    assert other.url_of_database == "sqlite:////srv/text/collector.db"
    assert command._layout(parse([]), Path("/run/here")).transcripts is None


@pytest.mark.usefixtures("_collector_settings")
def test_a_redis_that_is_named_is_used(monkeypatch):
    """REDIS_URL and DATABASE_URL win; no Redis is started then, so none has to be installed."""
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere/0")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@db/t")
    monkeypatch.setattr(redis_server, "PROGRAM", "no-such-redis-server")
    layout = command._layout(command._parser().parse_args(["--collector"]), Path("/run/here"))
    assert layout.transcripts is not None
    assert (layout.redis_servers, layout.transcripts.url_of_redis) == (0, "redis://elsewhere/0")
    assert layout.transcripts.url_of_database == "postgresql://u:p@db/t"


@pytest.mark.usefixtures("_collector_settings")
def test_transcripts_are_not_shown_to_a_network_without_a_key(monkeypatch):
    """Nginx would serve them on every interface: the start is refused until there is a key."""
    arguments = command._parser().parse_args(["--collector", "--host", "0.0.0.0"])  # noqa: S104 - never bound
    with pytest.raises(StartupError, match=r"--host 0\.0\.0\.0 lets others read .* COLLECTOR_API_KEYS is empty"):
        command._layout(arguments, Path("/run/here"))
    monkeypatch.setenv("COLLECTOR_API_KEYS", "k")
    assert command._layout(arguments, Path("/run/here")).collectors == 1


def test_clusters_do_not_share_folders():
    """The folder depends on the user and on the port."""
    base = Path("/tmp")  # noqa: S108 - only joined
    folders = {run_dir_of(base, user_id=user, port=port) for user in (0, 1) for port in (1, 2)}
    assert len(folders) == 4
