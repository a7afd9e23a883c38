from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from app.engine.build import CPU_SLOTS, GPU_SLOTS
from tests.cluster.front import NEWER_NGINX
from tests.helm.chart import CI, Object, containers, environment, named, rendered, rendering

ROOT = Path(__file__).resolve().parents[2]


def started(found: list[Object], run_dir: Path, nameserver: str = "192.0.2.53") -> tuple[str, str]:
    """Run the command of the balancer's container; return the configuration and what nginx says to it.

    Its folders are the test's, nginx only checks, and nothing of the machine's own environment is there.
    """
    (nginx,) = [
        each
        for each in containers(named(found, "Deployment", "balancer")["spec"]["template"]["spec"])
        if each["name"] == "nginx"
    ]
    for name, text in named(found, "ConfigMap", "balancer")["data"].items():
        (run_dir / name).write_text(text)
    (run_dir / "resolv.conf").write_text(f"search speech.svc.cluster.local\nnameserver {nameserver}\noptions ndots:5\n")
    (run_dir / "bin").mkdir(exist_ok=True)
    (run_dir / "bin/nginx").write_text(f'#!/bin/sh\nexec {NEWER_NGINX} -t -e stderr -c "{run_dir}/rendered.conf"\n')
    (run_dir / "bin/nginx").chmod(0o755)
    shell, option, script = nginx["command"]
    for theirs, ours in (
        ("/etc/resolv.conf", f"{run_dir}/resolv.conf"),
        ("/tmp/nginx.conf", f"{run_dir}/rendered.conf"),  # noqa: S108 - the container's own
        ("/etc/transcription", str(run_dir)),
    ):
        assert theirs in script
        script = script.replace(theirs, ours)
    variables = environment(found, "balancer") | {
        "PATH": f"{run_dir}/bin:/usr/local/bin:/usr/bin:/bin",
        "NGINX_RUN_DIR": str(run_dir),
    }
    done = subprocess.run(
        [shell, option, script], env=variables, capture_output=True, text=True, timeout=30, check=False
    )
    return (run_dir / "rendered.conf").read_text(), done.stderr


@pytest.mark.parametrize("ci", CI)
def test_nginx_accepts_what_the_pod_renders(ci, run_dir):
    """The container's own command, with its variables and files, gives a configuration that nginx 1.30 loads."""
    _, said = started(rendering(ci), run_dir)
    assert "test is successful" in said, said


def test_nginx_asks_the_pods_name_server_for_full_names(run_dir):
    """It ignores search domains: workers, gateways and collectors are asked for by full names, again and again."""
    configuration, _ = started(rendering("collector"), run_dir)
    assert re.search(r"resolver 192\.0\.2\.53\b", configuration)
    for name, port in (("workers", 8000), ("gateways", 9090), ("collectors", 8001)):
        assert f"stt-{name}.speech.svc.cluster.local:{port} resolve" in configuration


@pytest.mark.parametrize(
    ("nameserver", "resolver"),
    [("10.96.0.10", "10.96.0.10"), ("fd00:10:96::a", "[fd00:10:96::a]")],
    ids=["IPv4", "IPv6"],
)
def test_name_servers_of_both_kinds(nameserver, resolver, run_dir):
    """An IPv6 address gets the brackets that nginx wants."""
    configuration, said = started(rendering("cpu"), run_dir, nameserver)
    assert f"resolver {resolver}" in configuration
    assert "test is successful" in said, said


def test_a_given_name_server_is_used(run_dir):
    """`balancer.resolver` wins over the pod's own."""
    configuration, said = started(rendered({"balancer": {"resolver": "192.0.2.99"}}), run_dir)
    assert "resolver 192.0.2.99" in configuration
    assert "test is successful" in said, said


@pytest.mark.parametrize(
    ("ci", "slots"), [("cpu", CPU_SLOTS), ("cuda", GPU_SLOTS), ("mig", 8)], ids=["CPU", "CUDA", "as set"]
)
def test_nginx_gives_a_worker_no_more_than_its_slots(ci, slots, run_dir):
    """The worker's own default for its device, or the setting."""
    configuration, _ = started(rendering(ci), run_dir)
    assert f"stt-workers.speech.svc.cluster.local:8000 resolve max_fails=0 max_conns={slots};" in configuration


def test_limits_are_shared_among_the_balancers(run_dir):
    """Each counts for itself, so each allows its part, rounded up: the values are limits of the whole."""
    given = {"balancer": {"replicas": 3, "limits": {"requestsPerSecond": 100, "burst": 200, "connections": 256}}}
    configuration, _ = started(rendered(given), run_dir)
    assert "rate=34r/s" in configuration
    assert "burst=67 " in configuration
    assert re.search(r"limit_conn \w+ 86;", configuration)
    # Nine in ten of what two gateways of 100 streams can take, over three balancers.
    assert "limit_conn address_streams 60;" in configuration


@pytest.mark.parametrize(("ci", "networks"), [("cpu", []), ("route", ["10.20.0.0/16"])])
def test_metrics_of_nginx_are_for_the_networks_that_the_values_name(ci, networks, run_dir):
    """Behind a Gateway every client has a private address, so private networks are not enough to see internals."""
    configuration, _ = started(rendering(ci), run_dir)
    allowed = set(re.findall(r"^\s*allow ([^;]+);", configuration, re.MULTILINE))
    assert allowed == {"127.0.0.0/8", *networks}


def test_a_large_upload_is_accepted_where_the_worker_accepts_it(run_dir):
    """MAX_UPLOAD_BYTES reaches nginx as a whole number, with room for the form around the file."""
    configuration, _ = started(rendering("cpu"), run_dir)
    sizes = [int(size) for size in re.findall(r"client_max_body_size (\d+);", configuration)]
    assert max(sizes) >= 524288000
    assert environment(rendering("cpu"), "balancer")["MAX_UPLOAD_BYTES"] == "524288000"
