from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.ops.version import VERSION
from tests.deploy.test_compose import FILES, assert_valid, load, services

ROOT = Path(__file__).resolve().parents[2]
NAME = "docker-compose.monitoring.yml"
OWN = {name: service for name, service in services(NAME).items() if name != "nginx"}


def test_it_is_valid():
    """The Compose specification's own schema accepts it."""
    assert_valid(NAME)


@pytest.mark.parametrize("name", FILES)
def test_it_fits_beside_the_other_file(name):
    """It adds services and networks, and changes nginx only: where that writes its second log."""
    base = load(name)
    assert set(services(NAME)) & set(base["services"]) == {"nginx"}
    nginx = services(NAME)["nginx"]
    assert nginx == {
        "environment": {"NGINX_METRICS_SOCKET": "/run/mtail/lb.sock"},
        "volumes": ["lb:/run/mtail"],
        "depends_on": {"mtail": {"condition": "service_started"}},
    }
    assert not any("/run/mtail" in volume for volume in base["services"]["nginx"]["volumes"])
    networks = set(base["networks"]) | set(load(NAME)["networks"])
    for service in OWN.values():
        assert set(service["networks"]) <= networks
    assert not set(base["volumes"]) & set(load(NAME)["volumes"])


def test_every_service_is_hardened():
    """As in the other files; the exporter for GPUs needs root and one capability."""
    for name, service in OWN.items():
        gpu = name == "dcgm-exporter"
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["SYS_ADMIN"] if gpu else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"], name
        assert (int(service["user"].split(":")[0]) > 0) is not gpu, name
        assert all("noexec,nosuid,nodev" in mount for mount in service["tmpfs"]), name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert float(service["deploy"]["resources"]["limits"]["cpus"]) <= 2, name
        if name != "mtail":  # the image has its own
            assert service["healthcheck"] == {"disable": True} if gpu else service["healthcheck"]["test"], name


def test_images_are_pinned():
    """By version, and by digest where it is known; mtail's is built here and has the product's version."""
    images = {name: service["image"] for name, service in OWN.items()}
    assert images.pop("mtail") == f"speech-to-text-mtail:{VERSION}"
    assert re.fullmatch(r"nvcr\.io/nvidia/k8s/dcgm-exporter:[\d.]+-[\d.]+-distroless", images.pop("dcgm-exporter"))
    for name, image in images.items():
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", image), name


def test_what_has_no_password_is_reached_from_this_machine_only():
    """Every published port is one of the loopback address, and workers stay in their internal network."""
    for name, service in OWN.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
    assert {name for name, service in OWN.items() if "inner" in service["networks"]} == {
        "dcgm-exporter", "mtail", "prometheus",
    }  # fmt: skip


def test_mounted_files_exist():
    """Docker would create a folder in the place of a missing file."""
    for service in OWN.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert volume.endswith(":ro")
                assert (ROOT / source).exists(), source
            else:
                assert source in load(NAME)["volumes"]


def test_prometheus_finds_every_service():
    """Each name and port of prometheus.yml is that of a service in one of the files."""
    jobs = yaml.safe_load((ROOT / "deploy" / "monitoring" / "prometheus.yml").read_text())["scrape_configs"]
    found = {job["job_name"]: (sd["names"][0], sd["port"]) for job in jobs for sd in job["dns_sd_configs"]}
    assert found == {
        "stt-worker": ("transcription-workers", 8000),
        "stt-gateway": ("whisperlive", 9090),
        "stt-collector": ("collector", 8001),
        "stt-balancer": ("mtail", 3903),
        "dcgm": ("dcgm-exporter", 9400),
    }
    for name in FILES:
        base = services(name)
        assert base["transcription-worker-1"]["networks"]["inner"]["aliases"] == ["transcription-workers"]
        assert {"whisperlive", "collector"} <= set(base)
    for job in jobs:
        assert job["relabel_configs"] == [{"target_label": "cluster", "replacement": "compose"}]


def test_nginx_and_mtail_share_the_socket():
    """In a volume in memory that belongs to mtail's user, and that nginx's may enter."""
    options: dict[str, Any] = load(NAME)["volumes"]["lb"]["driver_opts"]
    assert options["o"] == "size=1m,uid=10001,gid=10001,mode=0755"
    assert OWN["mtail"]["user"] == "10001:10001"
    assert OWN["mtail"]["volumes"] == ["lb:/run/mtail"]
    assert OWN["mtail"]["build"] == {"context": ".", "dockerfile": "deploy/monitoring/Dockerfile.mtail"}
    assert not {"command", "entrypoint"} & set(OWN["mtail"])


@pytest.mark.parametrize("url", ["", "https://example.org/hook", "http://h/a?b=c&d=\\e|f\"g'h"])
def test_alertmanager_gets_the_webhook(url, tmp_path):
    """The entrypoint puts ALERT_WEBHOOK_URL into the configuration, whatever is in it, and nothing without one."""
    shell, option, script = OWN["alertmanager"]["entrypoint"]
    for path, own in (
        ("/etc/alertmanager/", f"{ROOT}/deploy/monitoring/"),
        ("/tmp/alertmanager.yml", f"{tmp_path}/alertmanager.yml"),  # noqa: S108 - the container's
        ("exec alertmanager", "exec echo"),
        ("$$", "$"),
    ):
        assert path in script
        script = script.replace(path, own)
    done = subprocess.run(
        [shell, option, script], env={"PATH": "/usr/bin:/bin", "ALERT_WEBHOOK_URL": url},
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "--config.file=" in done.stdout
    receivers = yaml.safe_load((tmp_path / "alertmanager.yml").read_text())["receivers"]
    if url:
        assert [receiver["webhook_configs"][0]["url"] for receiver in receivers] == [url, url]
    else:
        assert receivers == [{"name": "page"}, {"name": "ticket"}]


def test_grafana_needs_a_password_and_asks_nobody_else():
    """Compose refuses to start without it; telemetry, news and downloads are off."""
    environment = OWN["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_PASSWORD:?")
    assert environment["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
    assert environment["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    source = yaml.safe_load((ROOT / "deploy" / "monitoring" / "grafana" / "datasources.yml").read_text())
    assert [each["url"] for each in source["datasources"]] == ["http://prometheus:9090"]


def test_the_example_names_its_variables():
    """Each is in deploy/compose.env.example."""
    used = set(re.findall(r"\$\{(\w+):[-+?]", (ROOT / NAME).read_text())) | {"ALERT_WEBHOOK_URL"}
    example = (ROOT / "deploy" / "compose.env.example").read_text()
    assert used <= set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
