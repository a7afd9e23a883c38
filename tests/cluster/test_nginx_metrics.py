"""What mtail counts of nginx' second access log, and what nginx does without mtail."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from app.engine.fake import FakeEngine
from tests.clients import live_server, upload
from tests.cluster.counting import SCRIPT, Counting, counting
from tests.cluster.front import NEWER_NGINX, NGINX, Front, front, render, until
from tests.cluster.ports import free_ports
from tests.cluster.stub_worker import stub_worker

UPLOADS = 12
NOBODY = 65534


def counted(run_dir: Path) -> dict[str, str]:
    """Return the setting that has nginx write the second log."""
    return {"NGINX_METRICS_SOCKET": str(run_dir / "lb.sock")}


async def get(nginx: Front, path: str, *, live: bool = False, headers: Mapping[str, str] = MappingProxyType({})) -> int:
    """Return the status of a GET on the transcription port or the live port."""
    port = nginx.live_port if live else nginx.port
    return (await nginx.client.get(f"http://127.0.0.1:{port}{path}", headers=headers)).status_code


async def test_twelve_uploads_on_one_slot_are_eleven_refusals(run_dir):
    """A real worker with one slot: one upload gets 200, nginx refuses the others, and mtail counts eleven."""
    with live_server(FakeEngine(window_s=2.0), max_concurrent_transcriptions=1) as (_, port):
        async with counting(run_dir) as mtail, front(run_dir, [port], env=counted(run_dir)) as nginx:
            answers = await asyncio.gather(
                *(
                    nginx.client.post("/v1/audio/transcriptions", files=upload(), data={"model": "whisper-1"})
                    for _ in range(UPLOADS)
                )
            )
            assert sorted(answer.status_code for answer in answers) == [200] + [503] * (UPLOADS - 1)
            expected = {("audio", "503", "yes"): UPLOADS - 1, ("audio", "200", "no"): 1}
            await mtail.until(lambda counts: counts == expected)
            text = await mtail.text()
    assert 'lb_request_seconds_count{route="audio"} 1\n' in text
    assert 'lb_request_seconds_bucket{route="audio",le="1.5"} 0\n' in text
    done = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_only_busy_answers_of_nginx_itself_are_refusals(run_dir):
    """413, 429, a worker's own 503, workers that are gone: none is refused as busy. A full worker behind one is."""
    first, second, gone = free_ports(3)
    env = {**counted(run_dir), "MAX_UPLOAD_BYTES": "1024", "NGINX_LIMIT_RATE": "1", "NGINX_LIMIT_BURST": "9"}
    async with (
        stub_worker(first) as one,
        stub_worker(second) as two,
        counting(run_dir) as mtail,
        front(run_dir, [first, second], env=env) as nginx,
    ):
        assert (await nginx.post(b"x" * (2 * 1024 + 2**20))).status_code == 413
        one.mode = two.mode = "busy"
        assert (await nginx.post()).status_code == 503
        await mtail.until(lambda counts: counts == {("audio", "413", "no"): 1, ("audio", "503", "no"): 1})
        # One worker has a request, the other one says that it is busy.
        one.mode = two.mode = "serve"
        held = asyncio.create_task(nginx.post())
        await until(lambda: one.active + two.active == 1)
        (two if one.active else one).mode = "busy"
        assert (await nginx.post()).status_code == 503
        await mtail.until(lambda counts: counts.get(("audio", "503", "yes")) == 1)
        one.release.set()
        two.release.set()
        assert (await held).status_code == 200
        one.mode = two.mode = "serve"
        limited = [(await nginx.post(authorization="Bearer k")).status_code for _ in range(20)]
        assert set(limited) == {200, 429}
        await mtail.until(lambda counts: counts.get(("audio", "429", "no")) == limited.count(429))
    async with counting(run_dir) as mtail, front(run_dir, [gone], env=counted(run_dir)) as nginx:
        assert (await nginx.post()).status_code == 503
        await mtail.until(lambda counts: counts == {("audio", "503", "no"): 1})


@pytest.mark.parametrize("nginx_program", [NGINX, NEWER_NGINX], ids=["installed", "newer"])
async def test_routes_are_few_and_health_checks_are_not_counted(run_dir, nginx_program):
    """Every path is one of four routes, whatever a client asks for; a health check begins the series at 0."""
    worker, gateway, collector = free_ports(3)
    env = {**counted(run_dir), "NGINX_COLLECTOR_ADDRESS": f"127.0.0.1:{collector}"}
    async with stub_worker(worker) as one, stub_worker(gateway) as two, stub_worker(collector) as three:
        for each in (one, two, three):
            each.release.set()
        async with (
            counting(run_dir) as mtail,
            front(run_dir, [worker], [gateway], env=env, nginx=nginx_program) as nginx,
        ):
            for path in ("/lb-status", "/health", "/health/ready", "/metrics", "/collector/health", "/nginx-status"):
                assert await get(nginx, path) == 200
            assert await get(nginx, "/health", live=True) == 200
            assert await mtail.requests() == {}
            assert 'lb_requests_total{refused="yes",route="audio",status="503"} 0\n' in await mtail.text()
            for path in ("/v1/audio/translations", "/v1//v1/audio/x", "/%761/audio/x?token=secret"):
                assert await get(nginx, path) == 200
            for path in ("/transcripts/a/b", "/collector/", "/collector/transcripts/a/b", "/search", "/meetings"):
                assert await get(nginx, path) == 200
            for path in ("/v1/models", "/?a=/v1/audio/", "/x/v1/audio/y"):
                assert await get(nginx, path) == 200
            for path in ("/", "/v1/audio/x", "/transcripts"):
                assert await get(nginx, path, live=True) == 200
            await mtail.until(
                lambda counts: counts == {
                    ("audio", "200", "no"): 3, ("transcripts", "200", "no"): 5, ("other", "200", "no"): 3,
                    ("live", "200", "no"): 3,
                }
            )  # fmt: skip


async def test_the_log_holds_nothing_of_a_clients_making(run_dir):
    """A datagram has a route, a status, a time and addresses: no path, query, header or name."""
    port = free_ports(1)[0]
    loop = asyncio.get_running_loop()
    with listening(run_dir / "lb.sock") as received:
        async with stub_worker(port) as worker, front(run_dir, [port], env=counted(run_dir)) as nginx:
            worker.release.set()
            secrets = {"X-API-Key": "secret-3", "Host": "secret-4"}
            assert await get(nginx, "/v1/audio/secret-1?token=secret-2", headers=secrets) == 200
            async with asyncio.timeout(10):
                while "audio" not in (line := (await loop.sock_recv(received, 4096)).decode()):
                    pass
    pattern = r'<\d+>.{15} lb: \{"route":"audio","status":200,"request_s":\d+\.\d{3},"upstream":"127\.0\.0\.1:\d+"\}\n'
    assert re.fullmatch(pattern, line), line


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Give a socket to which nginx can write, instead of mtail's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.setblocking(False)
        receiver.bind(str(path))
        path.chmod(0o666)
        yield receiver


@pytest.mark.parametrize("nginx_program", [NGINX, NEWER_NGINX], ids=["installed", "newer"])
async def test_nginx_serves_while_mtail_is_away(run_dir, nginx_program):
    """Killed, frozen or not there yet: every request is served; the next mtail counts again; no query is logged."""
    port = free_ports(1)[0]
    async with stub_worker(port) as worker, front(run_dir, [port], env=counted(run_dir), nginx=nginx_program) as nginx:
        worker.release.set()
        before = [await get(nginx, "/v1/audio/x?token=secret") for _ in range(5)]
        async with counting(run_dir) as mtail:
            await _count_something(nginx, mtail)
            mtail.send(signal.SIGSTOP)
            frozen = [await get(nginx, "/v1/audio/x?token=secret") for _ in range(50)]
            mtail.send(signal.SIGKILL)
            killed = [await get(nginx, "/v1/audio/x?token=secret") for _ in range(5)]
        async with counting(run_dir) as mtail:
            await _count_something(nginx, mtail)
        assert set(before + frozen + killed) == {200}
        # The request line of the usual log has no query; neither do messages about the socket.
        assert "secret" not in nginx.log.read_text()


async def _count_something(nginx: Front, mtail: Counting) -> None:
    """Send requests until one is counted: each process of nginx notices with one lost datagram that mtail is new."""
    for _ in range(200):
        assert await get(nginx, "/v1/audio/x") == 200
        if await mtail.requests():
            return
    raise AssertionError("nothing is counted")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start nginx so that it works as another user")
async def test_another_user_may_write_to_the_socket(run_dir):
    """Nginx started by root works as another user, as it does in its container: the socket is open to all."""
    async with counting(run_dir) as mtail:
        assert mtail.socket.stat().st_mode & 0o777 == 0o666
        code = "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', sys.argv[1])"
        command = ["python3", "-c", code, str(mtail.socket)]
        await asyncio.to_thread(subprocess.run, command, user=NOBODY, check=True, timeout=10)


async def test_a_burst_of_answers_is_counted(run_dir):
    """Mtail reads a thousand lines a second: a hundred requests, eight at a time, are all counted."""
    port = free_ports(1)[0]
    async with (
        stub_worker(port) as worker,
        counting(run_dir) as mtail,
        front(run_dir, [port], env={**counted(run_dir), "MAX_CONCURRENT_TRANSCRIPTIONS": "8"}) as nginx,
    ):
        worker.slots = 8
        worker.release.set()
        for _ in range(13):
            assert set(await asyncio.gather(*(get(nginx, "/v1/audio/x") for _ in range(8)))) == {200}
            await asyncio.sleep(0.02)
        await mtail.until(lambda counts: counts == {("audio", "200", "no"): 104})


def test_the_program_compiles():
    """Mtail accepts it without a remark; with a mistake it would serve no metric of ours and say so only in its log."""
    done = subprocess.run(
        ["mtail", "--compile_only", "--logtostderr", "--port", "0", "--progs", str(SCRIPT.with_name("access.mtail"))],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Loaded program access.mtail" in done.stderr
    assert "unused" not in done.stderr


def test_without_the_setting_there_is_no_second_log(run_dir):
    """NGINX_METRICS_SOCKET is empty by default: nothing is written, and messages keep their level."""
    text = render(run_dir, [8001])
    assert "syslog" not in text
    assert "error_log stderr warn;" in text


async def test_what_is_no_http_counts_as_other(run_dir):
    """Bytes that are no HTTP request have no path: a scanner adds no route."""
    port = free_ports(1)[0]
    async with counting(run_dir) as mtail, front(run_dir, [port], env=counted(run_dir)) as nginx:
        reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
        writer.write(b"BAD\r\n\r\n")
        await reader.read()
        writer.close()
        await mtail.until(lambda counts: [route for route, _, _ in counts] == ["other"])


async def test_a_live_connection_counts_whatever_its_path(run_dir):
    """The gateway opens a WebSocket on any path but its probes': a path that looks like one hides no refusal."""
    worker, gateway = free_ports(2)
    async with counting(run_dir) as mtail, front(run_dir, [worker], [gateway], env=counted(run_dir)) as nginx:
        for path in ("/health", "/health/", "/x/health", "/health%0a"):
            await get(nginx, path, live=True)
        await mtail.until(lambda counts: counts == {("live", "503", "no"): 2})


async def test_a_key_in_the_query_of_a_live_connection_is_not_logged(run_dir):
    """Browsers send it there, and messages of nginx quote the request, such as when no gateway answers."""
    worker, gateway = free_ports(2)
    async with front(run_dir, [worker], [gateway]) as nginx:
        assert await get(nginx, "/?token=sk-secret", live=True) == 503
        await until(lambda: '"uri":"/"' in nginx.log.read_text())
    assert "sk-secret" not in nginx.log.read_text()
