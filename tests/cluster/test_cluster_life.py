"""How a running cluster recovers and stops. Most tests use the fake model."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from app.cluster.probe import status_of
from tests.cluster.clients import audio, new_client, post, post_all
from tests.cluster.front import ROOT
from tests.cluster.ports import free_ports, free_run_of_ports
from tests.cluster.real import FAKE, children_of, real_cluster, running, start_and_fail, wait_until

UNPRIVILEGED = 10001


def command_line(pid: int) -> bytes:
    """Return the command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_sigterm_finishes_running_requests_and_leaves_nothing():
    """SIGTERM during requests: each of them gets 200, the exit code is 0, the folder is removed."""
    with real_cluster(2, {"MODEL_SIZE": "demo"}) as cluster:
        wav = audio("en-18", "en-19")
        async with new_client() as client:
            requests = [asyncio.create_task(post(client, cluster.transcriptions, wav)) for _ in range(4)]
            ports = cluster.status()["ports"].values()

            async def active() -> int:
                healths = [(await client.get(f"http://127.0.0.1:{port}/health")).json() for port in ports]
                return sum(health["active"] for health in healths)

            for _ in range(500):
                if await active() == 4:
                    break
                await asyncio.sleep(0.01)
            else:
                raise AssertionError("four requests on four slots were never all active")
            cluster.process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*requests)
        assert [answer.status for answer in answers] == [200] * 4
        assert cluster.process.wait(30) == 0
        assert not cluster.run_dir.exists()
        assert "| drained" in cluster.log.read_text()


def test_the_second_signal_ends_at_once():
    """A worker that hangs does not delay the end: the second SIGTERM kills everything, with exit code 128 + 15."""
    with real_cluster(2, FAKE) as cluster:
        pids = [cluster.pid("worker-1"), cluster.pid("worker-2")]
        os.kill(pids[0], signal.SIGSTOP)
        cluster.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            cluster.process.wait(2)
        begun_s = time.monotonic()
        cluster.process.send_signal(signal.SIGTERM)
        assert cluster.process.wait(10) == 128 + signal.SIGTERM
        assert time.monotonic() - begun_s < 5
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_worker_that_cannot_be_started_is_tried_again_and_does_not_delay_a_drain():
    """Its folder cannot be created: starts are repeated until one succeeds, and a drain does not wait for that."""
    with real_cluster(1, FAKE) as cluster:
        port = cluster.status()["ports"]["worker-1"]

        def replace_the_folder() -> None:
            shutil.move(cluster.run_dir, cluster.temp / "gone")
            cluster.run_dir.touch()

        def refusals() -> int:
            return cluster.log.read_text().count("a process could not be started")

        pid = cluster.pid("worker-1")
        replace_the_folder()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: refusals() >= 2)
        cluster.run_dir.unlink()
        wait_until(lambda: status_of("127.0.0.1", port, "/health/ready") == 200)
        (pid,) = (pid for pid in children_of(cluster.process.pid) if b"main.py" in command_line(pid))
        shutil.rmtree(cluster.temp / "gone")
        replace_the_folder()
        seen = refusals()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: refusals() > seen)
        assert cluster.stop() == 0


@pytest.mark.parametrize("whole", [True, False], ids=["every process", "the master only"])
def test_a_killed_nginx_comes_back(whole):
    """Nginx is restarted like a worker; processes that remain of the old one do not keep its ports."""
    with real_cluster(1, FAKE) as cluster:
        first = int((cluster.run_dir / "nginx.pid").read_text())
        others = children_of(first)
        for pid in [first, *others] if whole else [first]:
            os.kill(pid, signal.SIGKILL)

        def serves() -> bool:
            try:
                return httpx.get(f"{cluster.url}/health", timeout=2).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(lambda: (cluster.run_dir / "nginx.pid").read_text().strip() not in {"", str(first)} and serves())
        wait_until(lambda: not any(running(pid) for pid in others))


def test_a_stop_ends_the_remaining_processes_of_a_killed_nginx():
    """Its master is killed during a drain: no other process of it keeps the ports."""
    with real_cluster(1, FAKE) as cluster:
        master = int((cluster.run_dir / "nginx.pid").read_text())
        others = children_of(master)
        cluster.process.send_signal(signal.SIGSTOP)
        os.kill(master, signal.SIGKILL)
        cluster.process.send_signal(signal.SIGTERM)
        cluster.process.send_signal(signal.SIGCONT)
        assert cluster.process.wait(30) == 0
        assert others
        wait_until(lambda: not any(running(pid) for pid in others))


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs Linux: the kernel ends orphans for setpriv")
def test_a_killed_supervisor_leaves_no_orphans():
    """SIGKILL of the supervisor: the kernel ends its children, and the next cluster clears the folder."""
    with real_cluster(2, FAKE) as cluster:
        pids = [cluster.pid("worker-1"), cluster.pid("worker-2"), int((cluster.run_dir / "nginx.pid").read_text())]
        cluster.process.kill()
        cluster.process.wait()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        assert cluster.run_dir.exists()
        with (cluster.temp / "second.log").open("wb") as log:
            second = subprocess.Popen(
                [sys.executable, "-m", "app", "cluster", "--workers", "1", "--port", str(cluster.port),
                 "--worker-port", str(free_ports(1)[0])],
                cwd=ROOT, env=dict(cluster.env), stdout=log, stderr=log,
            )  # fmt: skip
        try:
            wait_until(lambda: b"| ready behind " in (cluster.temp / "second.log").read_bytes())
        finally:
            second.terminate()
            assert second.wait(30) == 0
        assert not cluster.run_dir.exists()


def test_a_second_cluster_on_the_same_port_is_refused():
    """One cluster per public port: the second start fails with one line and does not disturb the first."""
    with real_cluster(1, FAKE) as cluster:
        code, lines = start_and_fail("--port", str(cluster.port), env=cluster.env)
        assert code == 1
        assert "already runs" in lines[0]
        assert httpx.get(f"{cluster.url}/health").status_code == 200


def test_a_frozen_cluster_keeps_its_port_and_folder():
    """While the first one is suspended a second start is refused, too, and the first one's folder is unchanged."""
    with real_cluster(1, FAKE) as cluster:
        before = sorted(cluster.run_dir.iterdir())
        cluster.process.send_signal(signal.SIGSTOP)
        try:
            code, lines = start_and_fail("--port", str(cluster.port), env=cluster.env)
        finally:
            cluster.process.send_signal(signal.SIGCONT)
        assert code == 1
        assert len(lines) == 1
        assert "already runs" in lines[0]
        assert sorted(cluster.run_dir.iterdir()) == before


def test_gateways_are_refused_while_the_live_port_is_in_use():
    """Scaling fails with one line that names the port, and the cluster is unchanged."""
    with real_cluster(1, FAKE) as cluster:
        with socket.create_server(("127.0.0.1", cluster.live_port)):
            code, lines = start_and_fail("scale", "--gateways", "1", "--port", str(cluster.port), env=cluster.env)
        assert code == 1
        assert len(lines) == 1
        assert f"port {cluster.live_port} " in lines[0]
        status = cluster.status()
        assert (status["gateways"], status["ready"]) == (0, True)


def test_a_change_that_nginx_does_not_apply_is_reported_and_tried_again():
    """Another process takes the live port while the gateway starts: scaling fails, until nginx can listen there."""
    with real_cluster(1, FAKE) as cluster:
        words = [sys.executable, "-m", "app", "cluster", "scale", "--gateways", "1", "--port", str(cluster.port)]
        scaling = subprocess.Popen(words, cwd=ROOT, env=dict(cluster.env), stderr=subprocess.PIPE, text=True)
        wait_until(lambda: "scaling gateways to 1" in cluster.log.read_text())
        with socket.create_server(("127.0.0.1", cluster.live_port)):
            _, error = scaling.communicate(timeout=60)
            assert scaling.returncode == 1
            assert error.startswith("error: nginx does not apply its new configuration")
            assert len(error.splitlines()) == 1
            assert not cluster.status()["ready"]
        wait_until(lambda: bool(cluster.status()["ready"]))
        assert httpx.get(f"http://127.0.0.1:{cluster.live_port}/health").status_code == 200


def test_every_line_of_the_log_names_its_process():
    """The lines of workers, nginx and the supervisor are in one stream, each with its name."""
    with real_cluster(2, FAKE) as cluster:
        httpx.get(f"{cluster.url}/health")
        cluster.stop()
        names = {line.split("|", 1)[0].strip() for line in cluster.log.read_text().splitlines()}
        assert names == {"worker-1", "worker-2", "nginx", "cluster"}


def test_it_runs_unprivileged_from_a_read_only_tree(run_dir):
    """As user 10001 without a home, from a read-only tree: it serves, and writes only below TMPDIR."""
    tree, temp = run_dir / "tree", run_dir / "temp"
    for name in ("app", "deploy", "models"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("main.py", "nginx.conf"):
        shutil.copy(ROOT / name, tree / name)
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(tree)], check=True)
    temp.mkdir()
    drop: list[str] = []
    if os.getuid() == 0:
        temp.chmod(0o777)
        # Python may be installed in a folder of root's: the process may read everywhere, and nothing else.
        reading = "-all,+dac_read_search"
        drop = ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups", "--no-new-privs",
                f"--bounding-set={reading}", f"--inh-caps={reading}", f"--ambient-caps={reading}", "--"]  # fmt: skip
    port, first = free_ports(1)[0], free_run_of_ports(2)
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(temp), "MODEL_SIZE": "demo", "PYTHONDONTWRITEBYTECODE": "1"}
    words = ["--workers", "2", "--port", str(port), "--worker-port", str(first)]
    log = run_dir / "cluster.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*drop, sys.executable, "-m", "app", "cluster", *words], cwd=tree, env=env, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: b"| ready behind " in log.read_bytes() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        url = f"http://127.0.0.1:{port}/v1/audio/transcriptions"
        # The second upload is large enough for nginx to write it to disk.
        answers = asyncio.run(post_all(url, [audio("en-00"), audio("en-00", "silence", "silence")]))
        assert [answer.status for answer in answers] == [200, 200]
        assert answers[0].body["text"] == "It's easy to get burned."
        assert Path(f"/proc/{process.pid}").stat().st_uid != 0
    finally:
        process.terminate()
        code = process.wait(30)
    assert code == 0, log.read_text()
    assert not [path for path in temp.iterdir() if path.name != ".ses"]


def test_a_bug_ends_the_cluster_with_exit_code_70(run_dir):
    """An unexpected error in a task of the supervisor: traceback in the log, a drain, exit code 70, nothing left."""
    trigger = run_dir / "break"
    program = run_dir / "broken.py"
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from app.cluster.reconciler import Reconciler\n"
        "real = Reconciler.decide\n"
        "def decide(self, now_s):\n"
        f"    if Path({str(trigger)!r}).exists():\n"
        "        raise ZeroDivisionError('a bug')\n"
        "    return real(self, now_s)\n"
        "Reconciler.decide = decide\n"
        "from app.__main__ import main\n"
        "sys.exit(main(['cluster', *sys.argv[1:]]))\n"
    )
    with real_cluster(1, {**FAKE, "PYTHONPATH": str(ROOT)}, program=[str(program)]) as cluster:
        pid = cluster.pid("worker-1")
        trigger.touch()
        assert cluster.process.wait(30) == 70
        log = cluster.log.read_text()
        assert "ZeroDivisionError: a bug" in log
        assert "| drained" in log
        assert not running(pid)
        assert not cluster.run_dir.exists()


def test_a_cluster_serves_on_when_its_output_cannot_be_written(run_dir):
    """On a full disk lines of the log are lost, but the cluster serves; exit code 74 says that output was lost."""
    port, worker_port = free_ports(2)
    words = ["--port", str(port), "--workers", "1", "--worker-port", str(worker_port)]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "cluster", *words], cwd=ROOT, stdout=full, stderr=full,
            env={**os.environ, **FAKE, "TMPDIR": str(run_dir), "PYTHONUNBUFFERED": ""},
        )  # fmt: skip
    try:
        wait_until(lambda: status_of("127.0.0.1", port, "/health") == 200)
    finally:
        process.terminate()
        assert process.wait(30) == os.EX_IOERR
