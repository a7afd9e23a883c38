"""How a cluster starts, and how a start fails: exit code 1 and one line with the reason."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import httpx

from app.cluster.layout import run_dir_of
from tests.cluster.front import ROOT
from tests.cluster.ports import free_ports, free_run_of_ports
from tests.cluster.real import FAKE, start_and_fail, wait_until


def test_a_taken_port_ends_the_start_with_one_line(run_dir):
    """The public port is in use: exit code 1, one line that names it, nothing started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = start_and_fail("--port", str(port), env={**FAKE, "TMPDIR": str(run_dir)})
    assert code == 1
    assert lines == [f"error: port {port} on 127.0.0.1 is in use: stop what listens there, or choose another port"]
    assert list(run_dir.iterdir()) == []


def test_a_taken_worker_port_ends_the_start_with_one_line(run_dir):
    """The port of the third worker is in use: exit code 1 and one line that names it."""
    first = free_run_of_ports(3)
    with socket.create_server(("127.0.0.1", first + 2)):
        code, lines = start_and_fail(
            "--port", str(free_ports(1)[0]), "--worker-port", str(first), env={**FAKE, "TMPDIR": str(run_dir)}
        )
    assert code == 1
    assert len(lines) == 1
    assert str(first + 2) in lines[0]


def test_a_bad_setting_ends_the_start_with_one_line(run_dir):
    """An invalid setting is reported before anything starts."""
    code, lines = start_and_fail(env={**FAKE, "MAX_UPLOAD_BYTES": "many", "TMPDIR": str(run_dir)})
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("error: MAX_UPLOAD_BYTES='many'")


def test_it_serves_on_ipv6(run_dir):
    """An IPv6 address is accepted, and shown in brackets in the URL."""
    port, worker_port = free_ports(2)
    words = ["--host", "::1", "--port", str(port), "--workers", "1", "--worker-port", str(worker_port)]
    log = run_dir / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "cluster", *words], cwd=ROOT, stdout=output, stderr=output,
            env={**os.environ, **FAKE, "TMPDIR": str(run_dir)},
        )  # fmt: skip
    try:
        wait_until(lambda: b"| ready behind " in log.read_bytes() or process.poll() is not None)
        assert f"ready behind http://[::1]:{port}:" in log.read_text()
        assert httpx.get(f"http://[::1]:{port}/health").status_code == 200
    finally:
        process.terminate()
        assert process.wait(30) == 0, log.read_text()


def test_a_corrupt_model_ends_the_start(tmp_path, run_dir):
    """The worker's error is the last line, the exit code is 1, and no file is left behind."""
    model = tmp_path / "model"
    shutil.copytree(ROOT / "models" / "demo", model)
    with (model / "model.bin").open("r+b") as weights:
        weights.truncate(100_000)
    code, lines = start_and_fail(
        "--workers", "1", "--port", str(free_ports(1)[0]), "--worker-port", str(free_ports(1)[0]),
        env={"MODEL_SIZE": str(model), "TMPDIR": str(run_dir)},
    )  # fmt: skip
    assert code == 1
    assert lines[-1].startswith("error: worker-1 could not start (exit code 1): MODEL_SIZE=")
    assert "cannot be loaded" in lines[-1]
    assert list(run_dir.iterdir()) == []


def test_a_temporary_folder_with_a_long_path_is_refused(tmp_path):
    """The system limits the path of a unix socket: one line gives the remedy."""
    temp = tmp_path / ("long" * 20)
    temp.mkdir()
    code, lines = start_and_fail("--port", str(free_ports(1)[0]), env={**FAKE, "TMPDIR": str(temp)})
    assert code == 1
    assert len(lines) == 1
    assert "TMPDIR" in lines[0]


def test_an_nginx_that_ends_at_once_ends_the_start(run_dir):
    """The supervisor does not wait for it: exit code 1 and nginx's last line of output."""
    broken = run_dir / "nginx"
    broken.write_text('#!/bin/sh\ncase "$*" in *" -t"*) exit 0 ;; esac\necho "[emerg] no more sockets"\nexit 1\n')
    broken.chmod(0o755)
    code, lines = start_and_fail(
        "--workers", "1", "--port", str(free_ports(1)[0]), "--worker-port", str(free_ports(1)[0]),
        "--nginx", str(broken), env={**FAKE, "TMPDIR": str(run_dir)},
    )  # fmt: skip
    assert code == 1
    assert lines[-1] == "error: nginx could not start: [emerg] no more sockets"
    assert list(run_dir.iterdir()) == [broken]


def test_a_missing_nginx_is_one_line(run_dir):
    """Without nginx nothing is started, and the line says how to install it."""
    code, lines = start_and_fail(
        "--port", str(free_ports(1)[0]), "--nginx", "/nowhere/nginx", env={**FAKE, "TMPDIR": str(run_dir)}
    )
    assert code == 1
    assert lines == ["error: /nowhere/nginx was not found: install it (make packages), or name it with --nginx"]


def test_orders_without_a_cluster_fail(run_dir):
    """Scaling a cluster that does not run: one line and exit code 1."""
    code, lines = start_and_fail("scale", "3", "--port", str(free_ports(1)[0]), env={"TMPDIR": str(run_dir)})
    assert code == 1
    assert lines == ["error: no cluster runs on that port: start one with `python -m app cluster`"]


def test_a_folder_is_not_cleared_before_the_ports_are_free(run_dir):
    """A start that finds its port in use leaves the folder unchanged, even without a lock."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mine = run_dir_of(run_dir, user_id=os.getuid(), port=port) / "body" / "upload"
        mine.mkdir(parents=True)
        code, _ = start_and_fail("--port", str(port), env={**FAKE, "TMPDIR": str(run_dir)})
    assert code == 1
    assert mine.exists()
