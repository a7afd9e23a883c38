from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.engine.build import CPU_SLOTS
from tests.cluster.front import NEWER_NGINX, NGINX, RENDER, ROOT, render

TEMPLATE = ROOT / "nginx.conf"
RENDERINGS = {
    "local": {"NGINX_WORKER_ADDRESSES": "127.0.0.1:8001 127.0.0.1:8002"},
    "many, with gateways": {
        "NGINX_WORKER_ADDRESSES": " ".join(f"127.0.0.1:{8001 + n}" for n in range(64)),
        "NGINX_GATEWAY_ADDRESSES": "127.0.0.1:9091 127.0.0.1:9092",
    },
    "with a collector": {
        "NGINX_WORKER_ADDRESSES": "127.0.0.1:8001",
        "NGINX_COLLECTOR_ADDRESS": "[::1]:8123",
    },
    "ip_hash": {"NGINX_WORKER_ADDRESSES": "127.0.0.1:8001", "NGINX_LIVE_BALANCE": "ip_hash"},
    "trusted": {"NGINX_WORKER_ADDRESSES": "127.0.0.1:8001", "NGINX_TRUSTED_NETWORKS": "10.0.0.0/8 fd00::/8"},
    "behind a proxy": {"NGINX_WORKER_ADDRESSES": "127.0.0.1:8001", "NGINX_REAL_IP_FROM": "10.0.0.0/8 fd00::/8 ::1"},
    "counted": {"NGINX_WORKER_ADDRESSES": "127.0.0.1:8001", "NGINX_METRICS_SOCKET": "/run/mtail/lb.sock"},
    "queueing": {"NGINX_WORKER_ADDRESSES": "127.0.0.1:8001", "FAIL_FAST_WHEN_BUSY": "False"},
}


def check(nginx: str, config: Path) -> str:
    """Return the output of `nginx -t`."""
    assert Path(nginx).exists(), f"{nginx} is missing: run `make packages`"
    done = subprocess.run(
        [nginx, "-t", "-e", "stderr", "-c", str(config)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stderr


@pytest.mark.parametrize("nginx", [NGINX, NEWER_NGINX], ids=["installed", "newer"])
def test_the_file_loads_as_it_stands(nginx):
    """`nginx -c nginx.conf` needs no rendering, neither in Debian's version nor in the image's."""
    assert "test is successful" in check(nginx, TEMPLATE)
    for left in Path("/tmp").glob("transcription-nginx*"):  # noqa: S108 - where the file puts them as it stands
        shutil.rmtree(left) if left.is_dir() else left.unlink()


@pytest.mark.parametrize("nginx", [NGINX, NEWER_NGINX], ids=["installed", "newer"])
@pytest.mark.parametrize("name", RENDERINGS)
def test_every_rendering_loads(run_dir, nginx, name):
    """The rendered file is valid in both versions, without a warning."""
    config = run_dir / "nginx.conf"
    config.write_text(render(run_dir, env=RENDERINGS[name]))
    output = check(nginx, config)
    assert "test is successful" in output
    assert "[warn]" not in output


def test_resolving_names_loads_in_the_newer_nginx(run_dir):
    """In containers names are resolved while nginx runs; an unknown name does not prevent its start."""
    config = run_dir / "nginx.conf"
    config.write_text(
        render(
            run_dir,
            env={
                "NGINX_WORKER_ADDRESSES": "",
                "NGINX_RESOLVE": "1",
                "NGINX_GATEWAY_ADDRESSES": "whisperlive:9090",
            },
        )
    )
    assert "test is successful" in check(NEWER_NGINX, config)
    text = config.read_text()
    assert "resolver 127.0.0.11 valid=5s ipv6=off;" in text
    assert "server transcription-workers:8000 resolve max_fails=0 max_conns=1;" in text
    assert "server whisperlive:9090 resolve max_fails=0 max_conns=132;" in text


def test_the_number_of_processes_can_be_given(run_dir):
    """One for each CPU of the machine; in a container with a part of them a number is better."""
    assert "worker_processes auto;" in render(run_dir, [8001])
    assert "worker_processes 4;" in render(run_dir, [8001], env={"NGINX_PROCESSES": "4"})


def test_without_resolving_the_workers_are_named_one_by_one(run_dir):
    """WORKERS=4 names four services, in both upstreams."""
    text = render(run_dir, env={"NGINX_WORKER_ADDRESSES": "", "WORKERS": "4", "MAX_CONCURRENT_TRANSCRIPTIONS": "3"})
    names = re.findall(r"server (transcription-worker-\d+):8000 max_fails=0 max_conns=3;", text)
    assert names == [f"transcription-worker-{n}" for n in range(1, 5)]
    assert len(re.findall(r"server transcription-worker-\d+:8000 max_fails=0;", text)) == 4


def test_a_rendering_has_no_marks_left_and_changes_nothing_else(run_dir):
    """Only marked lines differ from the template."""
    rendered = render(run_dir, [8001]).splitlines()
    unmarked = [line for line in TEMPLATE.read_text().splitlines() if "#~" not in line or line.startswith("#")]
    following = iter(rendered)
    assert all(line in following for line in unmarked), "an unmarked line is missing or out of order"
    assert not any("#~" in line for line in rendered if not line.startswith("#"))


def test_old_processes_live_as_long_as_configured(run_dir):
    """After a reload: the workers' grace period, unless live streams need longer."""
    assert "worker_shutdown_timeout 60s;" in render(run_dir, [8001])
    assert "worker_shutdown_timeout 7s;" in render(run_dir, [8001], env={"SHUTDOWN_GRACE_S": "7"})
    longer = {"SHUTDOWN_GRACE_S": "7", "NGINX_SHUTDOWN_S": "3600"}
    assert "worker_shutdown_timeout 3600s;" in render(run_dir, [8001], env=longer)


def test_who_sees_internals_can_be_chosen(run_dir):
    """Private networks see metrics and the API's documentation, unless NGINX_INTERNAL_FROM names others."""
    private = {"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
    assert set(re.findall(r"allow (.+);", render(run_dir, [8001]))) == private
    chosen = render(run_dir, [8001], env={"NGINX_INTERNAL_FROM": "127.0.0.0/8 10.20.0.0/16"})
    allowed = re.findall(r"allow (.+);\n", chosen)
    assert set(allowed) == {"127.0.0.0/8", "10.20.0.0/16"}
    assert len(allowed) == 2 * chosen.count("deny all;") - 2, "every block but that of the gateways, which is closed"


def test_the_number_of_slots_may_be_left_to_the_worker(run_dir):
    """MAX_CONCURRENT_TRANSCRIPTIONS=0: the worker chooses by its device, and nginx uses the same number."""
    chosen = {"MAX_CONCURRENT_TRANSCRIPTIONS": "0"}
    assert f"max_conns={CPU_SLOTS};" in render(run_dir, [8001], env=chosen)
    assert "max_conns=32;" in render(run_dir, [8001], env={**chosen, "NGINX_AUTO_SLOTS": "32"})


def test_a_gateway_gets_no_more_connections_than_it_can_answer(run_dir):
    """MAX_CLIENTS and 32 more, to which a full gateway answers WAIT."""
    assert "server 127.0.0.1:9091 max_fails=0 max_conns=132;" in render(run_dir, [8001], [9091])
    assert "max_conns=39;" in render(run_dir, [8001], [9091], env={"MAX_CLIENTS": "7"})


@pytest.mark.parametrize(
    ("gateways", "env", "limit"),
    [
        ([9091], {}, 90),
        ([9091, 9092, 9093], {}, 270),
        ([9091], {"MAX_CLIENTS": "7"}, 6),
        ([9091], {"MAX_CLIENTS": "1"}, 1),
        ([9091, 9092], {"GATEWAYS": "9"}, 180),
        ([9091, 9092], {"NGINX_RESOLVE": "1", "GATEWAYS": "3"}, 540),
        ([9091], {"NGINX_LIMIT_STREAMS": "12"}, 12),
        ([], {}, 1),
    ],
)
def test_one_address_may_open_nine_in_ten_of_the_live_streams(run_dir, gateways, env, limit):
    """The limit follows the gateways and MAX_CLIENTS; names that are resolved stand for GATEWAYS of them each."""
    assert f"limit_conn address_streams {limit};" in render(run_dir, [8001], gateways, env=env)


def test_the_upload_limit_includes_the_other_form_fields(run_dir):
    """The workers and nginx share one setting; nginx adds 1 MiB for the form fields beside the file."""
    assert f"client_max_body_size {1000 + 2**20};" in render(run_dir, [8001], env={"MAX_UPLOAD_BYTES": "1000"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", "0"),
        ("MAX_CONCURRENT_TRANSCRIPTIONS", "-2"),
        ("MAX_UPLOAD_BYTES", "1e9"),
        ("MAX_CLIENTS", "0"),
        ("GATEWAYS", "-1"),
        ("NGINX_LIMIT_STREAMS", "0"),
        ("NGINX_LIMIT_RATE", "-1"),
        ("NGINX_PROCESSES", "0"),
        ("NGINX_PROCESSES", "many"),
        ("NGINX_RESOLVE", "yes"),
        ("NGINX_LIVE_BALANCE", "random"),
        ("NGINX_COLLECTOR_ADDRESS", "collector"),
        ("NGINX_COLLECTOR_ADDRESS", "one:1 two:2"),
        ("NGINX_COLLECTOR_ADDRESS", "one:1;"),
        ("NGINX_REAL_IP_FROM", "proxy"),
        ("NGINX_REAL_IP_FROM", "10.0.0.0/8;"),
        ("NGINX_METRICS_SOCKET", "lb.sock"),
        ("NGINX_METRICS_SOCKET", "/run/a b"),
    ],
)
def test_a_bad_value_is_refused_by_name(name, value):
    """The script ends with one line that names the variable and the value, and prints no configuration."""
    done = subprocess.run(
        ["sh", str(RENDER)], env={"PATH": os.environ["PATH"], name: value}, capture_output=True, text=True,
        timeout=10, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{name}={value}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_important_numbers_and_policies_are_explained():
    """The line above is a comment that gives the reason."""
    lines = TEMPLATE.read_text().splitlines()
    for wanted in (
        "least_conn;",
        "server 127.0.0.1:8001",
        "proxy_next_upstream error",
        "client_max_body_size",
        "proxy_request_buffering",
        "proxy_read_timeout 590s",
        "client_body_buffer_size",
        "limit_conn address_streams",
    ):
        index = next(number for number, line in enumerate(lines) if line.strip().startswith(wanted))
        assert lines[index - 1].strip().startswith("#"), f"no reason above: {lines[index]}"
