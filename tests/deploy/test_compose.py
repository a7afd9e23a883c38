from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from app.engine.build import CPU_SLOTS, GPU_SLOTS
from app.settings.collector import CollectorSettings
from app.settings.gateway import GatewaySettings
from app.settings.worker import WorkerSettings
from tests.cluster.front import NEWER_NGINX, RENDER

ROOT = Path(__file__).resolve().parents[2]
FILES = ["docker-compose.yml", "docker-compose.cpu.yml"]
# Set when the image is built: an empty entry in a compose file would remove it from the container.
OF_THE_IMAGE = {"BUILD_REVISION"}
NAMED = [f"transcription-worker-{n}" for n in (1, 2, 3)]
WORKERS = [*NAMED, "transcription-worker-more"]
STORES = ["collector", "postgres", "redis"]


def load(name: str) -> dict[str, Any]:
    """Return a compose file with anchors and merges resolved."""
    document: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return document


def services(name: str) -> dict[str, dict[str, Any]]:
    """Return its services."""
    found: dict[str, dict[str, Any]] = load(name)["services"]
    return found


def value(text: object, env: dict[str, str]) -> str | None:
    """Return what compose makes of a value: null comes from the environment, ${NAME:-default} is filled in.

    ${NAME:+text} is the text if NAME is set and not empty. The innermost ones are filled in first.
    """
    if text is None:
        return None

    def fill(found: re.Match[str]) -> str:
        given = env.get(found[1], "")
        return (given or found[3]) if found[2] == "-" else (found[3] if given else "")

    filled = str(text)
    while (inner := re.sub(r"\$\{(\w+):([-+])([^${}]*)\}", fill, filled)) != filled:
        filled = inner
    return filled


def names_of(settings_type: type[BaseSettings]) -> set[str]:
    """Return the variables that these settings are read from, under each of their names."""
    names = set()
    for field, info in settings_type.model_fields.items():
        alias = info.validation_alias
        names |= {str(choice) for choice in alias.choices} if isinstance(alias, AliasChoices) else {field.upper()}
    return names


def assert_valid(name: str) -> None:
    """Check a compose file by the Compose specification's own schema."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", str(ROOT / name)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", FILES)
def test_it_is_valid(name):
    """The Compose specification's own schema accepts it."""
    assert_valid(name)


@pytest.mark.parametrize("name", FILES)
def test_every_setting_reaches_every_worker(name):
    """Each setting of the worker is fixed, defaulted or passed through; the revision is the image's own."""
    for worker in WORKERS:
        environment = services(name)[worker]["environment"]
        missing = {field.upper() for field in WorkerSettings.model_fields} - set(environment) - OF_THE_IMAGE
        # The replicas are named after their containers by their command.
        assert missing == ({"WORKER_ID"} if worker == "transcription-worker-more" else set())


@pytest.mark.parametrize("name", FILES)
def test_every_setting_reaches_every_gateway(name):
    """Under each of its names: a gateway whose key does not arrive would be open to anyone.

    The address is fixed by the command, because the default, loopback, is reached by no other container. The revision
    is the image's own.
    """
    environment = services(name)["whisperlive"]["environment"]
    # The address is fixed by the command; the default would be loopback, which no other container reaches.
    assert names_of(GatewaySettings) - set(environment) - OF_THE_IMAGE == {"STREAMING_HOST", "STREAMING_PORT"}
    assert "--host 0.0.0.0 --port 9090" in " ".join(services(name)["whisperlive"]["command"])


@pytest.mark.parametrize("name", FILES)
def test_every_setting_reaches_the_collector(name):
    """Under each of its names; HOST is not among them because the longer name wins; the revision is the image's own."""
    environment = services(name)["collector"]["environment"]
    assert names_of(CollectorSettings) - set(environment) - OF_THE_IMAGE == {"HOST"}
    assert (environment["COLLECTOR_HOST"], environment["COLLECTOR_PORT"]) == ("0.0.0.0", "8001")  # noqa: S104 - compared
    # The health check asks PORT.
    assert environment["PORT"] == environment["COLLECTOR_PORT"]


@pytest.mark.parametrize("name", FILES)
def test_transcripts_are_stored_with_a_profile_and_a_key(name):
    """Without either, nothing is stored and the gateways know no Redis; PostgreSQL has a profile of its own."""
    found = services(name)
    profiles = {service: definition["profiles"] for service, definition in found.items() if "profiles" in definition}
    assert profiles == {"collector": ["collector"], "redis": ["collector", "limits"], "postgres": ["postgres"]}
    redis = found["whisperlive"]["environment"]["REDIS_URL"]
    assert value(redis, {}) == ""
    assert value(redis, {"COLLECTOR_API_KEYS": "k"}) == "redis://redis:6379/0"
    own = {"COLLECTOR_API_KEYS": "k", "REDIS_URL": "redis://mine/0"}
    for service in ("whisperlive", "collector"):
        assert value(found[service]["environment"]["REDIS_URL"], own) == "redis://mine/0"
    assert value(found["collector"]["environment"]["REDIS_URL"], {}) == "redis://redis:6379/0"


@pytest.mark.parametrize("name", FILES)
def test_workers_count_limits_in_a_redis_of_their_own_or_of_the_collector(name):
    """A Redis for limits alone is none for transcripts; every process sees the folder of the keys file."""
    found = services(name)
    redis = found["transcription-worker-1"]["environment"]["REDIS_URL"]
    assert value(redis, {}) == ""
    assert value(redis, {"COLLECTOR_API_KEYS": "k"}) == "redis://redis:6379/0"
    assert value(redis, {"COLLECTOR_API_KEYS": "k", "REDIS_URL": "redis://mine/0"}) == "redis://mine/0"
    own = {"LIMITS_REDIS_URL": "redis://redis:6379/0"}
    assert value(redis, own) == "redis://redis:6379/0"
    assert value(found["whisperlive"]["environment"]["REDIS_URL"], own) == ""
    for service in (*WORKERS, "whisperlive"):
        assert "./deploy/keys:/keys:ro" in found[service]["volumes"]


@pytest.mark.parametrize("name", FILES)
def test_gateways_and_collector_name_the_same_streams(name):
    """Vexa's names for them differ; setting the gateways' is enough."""
    environment = services(name)["collector"]["environment"]
    streams = {"REDIS_STREAM_KEY": "a", "REDIS_SPEAKER_EVENTS_RELATIVE_STREAM_KEY": "b"}
    assert value(environment["REDIS_STREAM_NAME"], streams) == "a"
    assert value(environment["REDIS_SPEAKER_EVENTS_STREAM_NAME"], streams) == "b"
    assert value(environment["REDIS_STREAM_NAME"], {}) == ""


@pytest.mark.parametrize("name", FILES)
def test_what_is_stored_survives_and_is_reached_by_containers_only(name):
    """Each store has a volume and only the internal network; only nginx has public ports."""
    found = services(name)
    assert [service for service, definition in found.items() if "ports" in definition] == ["nginx"]
    for service, folder in (
        ("redis", "redis:/data"),
        ("collector", "transcripts:/data"),
        ("postgres", "postgres:/var/lib/postgresql/data"),
    ):
        assert found[service]["networks"] == ["inner"], service
        assert found[service]["volumes"] == [folder], service
        assert folder.partition(":")[0] in load(name)["volumes"], service
    assert value(found["collector"]["environment"]["DATABASE_URL"], {}) == "sqlite:////data/collector.db"
    assert re.search(r"^RUN install -d -o 10001 -g 10001 .*/data\b", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.search(
        r"^RUN install -d -o 10001 -g 10001 .*/data\b", (ROOT / "Dockerfile.cpu").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("name", FILES)
def test_redis_writes_to_disk_and_drops_nothing(name):
    """Its options are those that the collector asks for; it is full long before its container is."""
    redis = services(name)["redis"]
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert (options["--appendonly"], options["--appendfsync"]) == ("yes", "everysec")
    assert options["--maxmemory-policy"] == "noeviction"
    assert value(options["--maxmemory"], {}) == "512mb"
    assert value(redis["deploy"]["resources"]["limits"]["memory"], {}) == "1g"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("service", ["nginx", "redis", "postgres"])
def test_foreign_images_are_pinned(name, service):
    """By the digest of the image for all platforms."""
    assert re.fullmatch(r"\w+:[\w.-]+@sha256:[0-9a-f]{64}", services(name)[service]["image"])


@pytest.mark.parametrize("name", FILES)
def test_the_three_workers_are_alike(name):
    """Three named services that differ only in their names and GPUs."""
    found = services(name)
    assert [each for each in found if each in NAMED] == NAMED
    stripped = []
    for number, worker in enumerate(NAMED, start=1):
        service = dict(found[worker])
        assert service["environment"]["WORKER_ID"] == str(number)
        service["environment"] = {key: val for key, val in service["environment"].items() if key != "WORKER_ID"}
        stripped.append(yaml.safe_dump(service).replace(f"WORKER_{number}_GPU", "WORKER_N_GPU"))
    assert len(set(stripped)) == 1


@pytest.mark.parametrize("name", FILES)
def test_every_service_is_hardened(name):
    """Not root, read-only, no capabilities, no new privileges, limited processes, temporary files in memory."""
    for service, definition in services(name).items():
        user = definition["user"].split(":")[0]
        assert int(user) > 0, service
        assert definition["read_only"] is True, service
        assert definition["cap_drop"] == ["ALL"], service
        assert definition["security_opt"] == ["no-new-privileges:true"], service
        assert definition["pids_limit"], service
        assert all("noexec,nosuid,nodev" in mount for mount in definition["tmpfs"]), service
        assert definition["restart"] == ("on-failure:3" if service == "model-init" else "unless-stopped"), service


@pytest.mark.parametrize("name", FILES)
def test_every_server_has_limits_and_a_health_check(name):
    """CPU and memory limits and a health check for all services but model-init."""
    for service, definition in services(name).items():
        if service == "model-init":
            continue
        limits = definition["deploy"]["resources"]["limits"]
        assert set(limits) == {"cpus", "memory"}, service
        assert definition["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, service


@pytest.mark.parametrize("name", FILES)
def test_gateways_stop_before_what_they_need_and_nginx_before_the_workers(name):
    """Compose stops in the reverse order of the start; the start of workers and gateways waits for no health check."""
    started = {"condition": "service_started"}
    assert services(name)["whisperlive"]["depends_on"] == {
        "nginx": started,
        "collector": {**started, "required": False},
    }
    assert services(name)["collector"]["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "postgres": {"condition": "service_healthy", "required": False},
    }
    assert services(name)["nginx"]["depends_on"] == dict.fromkeys(WORKERS, started)


@pytest.mark.parametrize("name", FILES)
def test_docker_waits_longer_than_each_grace_period(name):
    """A minute more than the process's own setting: no process is killed while it may still drain."""
    changed = {"SHUTDOWN_GRACE_S": "300", "DRAIN_GRACE_S": "120"}
    for service, (default, own) in {
        **dict.fromkeys([*WORKERS, "nginx"], ("1m60s", "1m300s")),
        "whisperlive": ("1m25s", "1m120s"),
    }.items():
        period = services(name)[service]["stop_grace_period"]
        assert (value(period, {}), value(period, changed)) == (default, own), service


@pytest.mark.parametrize("name", FILES)
def test_two_cores_are_enough_to_start(name):
    """No default limit exceeds two CPUs: on a machine with two cores Docker would refuse the container."""
    for service, definition in services(name).items():
        if service != "model-init":
            cpus = value(definition["deploy"]["resources"]["limits"]["cpus"], {})
            assert float(cpus or 0) <= 2, service


@pytest.mark.parametrize("name", FILES)
def test_a_gateway_has_memory_for_its_default_streams(name):
    """For every stream's buffer at once, at 40 kB per second of audio, and 200 MB for the rest."""
    memory = value(services(name)["whisperlive"]["deploy"]["resources"]["limits"]["memory"], {})
    assert memory is not None
    assert memory.endswith("g")
    defaults = {key: GatewaySettings.model_fields[key].default for key in ("max_clients", "buffer_max_s")}
    needed = 200e6 + 40e3 * defaults["max_clients"] * defaults["buffer_max_s"]
    assert int(memory[:-1]) * 2**30 >= needed


@pytest.mark.parametrize("name", FILES)
def test_workers_cannot_reach_the_internet(name):
    """They are only on an internal network, where they share a name, and mount the models read-only."""
    assert load(name)["networks"]["inner"] == {"internal": True}
    for worker in WORKERS:
        assert services(name)[worker]["networks"] == {"inner": {"aliases": ["transcription-workers"]}}
        assert "models:/models:ro" in services(name)[worker]["volumes"]
        assert "ports" not in services(name)[worker]


@pytest.mark.parametrize("name", FILES)
def test_the_model_that_is_fetched_is_the_workers(name):
    """The container that downloads has no GPU, so its command names the workers' device: `auto` depends on it."""
    device = services(name)[NAMED[0]]["environment"]["DEVICE"]
    assert services(name)["model-init"]["command"] == ["python", "-m", "app", "models", "fetch", "--for-device", device]


def test_gpus_are_given_by_id():
    """By default all workers share the first GPU, and each can be given its own."""
    for number, worker in enumerate(NAMED, start=1):
        (device,) = services("docker-compose.yml")[worker]["deploy"]["resources"]["reservations"]["devices"]
        assert device["device_ids"] == [f"${{WORKER_{number}_GPU:-0}}"]
        assert device["capabilities"] == ["gpu"]
        assert "count" not in device


@pytest.mark.parametrize("name", FILES)
def test_both_files_offer_the_same_services(name):
    """The workers, nginx, the gateways, model-init, and what stores transcripts."""
    assert sorted(services(name)) == sorted([*WORKERS, *STORES, "model-init", "nginx", "whisperlive"])
    assert services(name)["whisperlive"]["deploy"]["replicas"] == "${GATEWAYS:-3}"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("example", [False, True], ids=["without .env", "with .env.example as .env"])
def test_nginx_starts_with_what_compose_gives_it(name, example, run_dir):
    """Nginx loads the configuration rendered with this environment, with the slots of one worker."""
    dotenv = {}
    if example:
        for line in (ROOT / ".env.example").read_text().splitlines():
            key, separator, text = line.partition("=")
            if separator and not key.startswith("#"):
                dotenv[key] = text
    given = services(name)["nginx"]["environment"]
    environment = {key: value(text, dotenv) or dotenv.get(key, "") for key, text in given.items()}
    environment |= {"PATH": os.environ["PATH"], "NGINX_RUN_DIR": str(run_dir)}
    rendered = subprocess.run(["sh", str(RENDER)], env=environment, capture_output=True, text=True, check=True).stdout
    (run_dir / "nginx.conf").write_text(rendered)
    output = subprocess.run(
        [NEWER_NGINX, "-t", "-e", "stderr", "-c", str(run_dir / "nginx.conf")],
        capture_output=True, text=True, timeout=20, check=False,
    ).stderr  # fmt: skip
    assert "test is successful" in output, output
    slots = re.search(r"transcription-workers:8000 resolve max_fails=0 max_conns=(\d+);", rendered)
    assert slots is not None
    assert int(slots[1]) == (GPU_SLOTS if name == "docker-compose.yml" else CPU_SLOTS)
    # Nine in ten of what three gateways of 100 streams can take.
    assert "limit_conn address_streams 270;" in rendered


def test_the_example_names_every_variable_of_the_files():
    """Each variable is in deploy/compose.env.example or is a setting of the worker."""
    used: set[str] = set()
    for name in FILES:
        text = (ROOT / name).read_text()
        used |= set(re.findall(r"\$\{(\w+):[-+]", text))
        for definition in services(name).values():
            used |= {key for key, val in definition.get("environment", {}).items() if val is None}
    known = set(
        re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / "deploy" / "compose.env.example").read_text(), re.MULTILINE)
    )
    known |= {field.upper() for field in WorkerSettings.model_fields}
    assert used <= known, used - known
