"""`python -m app cluster`: N workers behind one nginx on this machine, without containers.

- `python -m app cluster --workers 3 [--gateways 2] [--port 8083]` runs until Ctrl-C;
- `python -m app cluster scale 5 [--gateways 3] [--port 8083]` changes a running one;
- `python -m app cluster status [--port 8083]` shows what runs, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from app.cluster import control
from app.cluster.balancer import Balancer
from app.cluster.folder import clear_folder, locked
from app.cluster.layout import Layout, run_dir_of, share_of
from app.cluster.reconciler import Reconciler, SupervisorTimeouts
from app.cluster.supervisor import NAME, Supervisor
from app.core.errors import StartupError
from app.ops.machine import available_cores
from app.settings.gateway import load_gateway_settings
from app.settings.worker import load_settings

ROOT = Path(__file__).resolve().parents[2]
NGINX_ELSEWHERE = "/usr/sbin/nginx"  # Debian keeps it out of an ordinary user's PATH
MAX_SOCKET_PATH_BYTES = 103  # the smallest bound among the systems we know; Linux allows 107
KILL_AFTER_GRACE_S = 5.0  # what a process may need to end once its last answer is out


def main(argv: list[str] | None = None) -> int:
    """Run, scale or show a cluster; return the exit code."""
    arguments = _parser().parse_args(argv)
    run_dir = run_dir_of(Path(tempfile.gettempdir()), user_id=os.getuid(), port=arguments.port)
    try:
        if arguments.action == "up":
            return asyncio.run(_run(_layout(arguments, run_dir), arguments))
        return _order(arguments, run_dir / "control.sock")
    except StartupError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - a command line tool speaks on the terminal
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app cluster", description="Several workers behind one nginx, without containers."
    )
    parser.add_argument("action", nargs="?", default="up", choices=("up", "scale", "status"))
    parser.add_argument("count", nargs="?", type=int, help="scale: how many workers from now on")
    parser.add_argument("--workers", type=int, default=None, help="how many workers (3)")
    parser.add_argument("--demo", action="store_true", help="use the bundled demo model unless MODEL_SIZE is set")
    parser.add_argument("--gateways", type=int, default=None, help="how many live gateways (0)")
    parser.add_argument("--host", default="127.0.0.1", help="public address; 0.0.0.0 = every interface")
    parser.add_argument("--port", type=int, default=8083, help="public port of transcription")
    parser.add_argument("--live-port", type=int, default=8990, help="public port of the live gateways")
    parser.add_argument("--worker-port", type=int, default=8001, help="the first worker's own port; the others follow")
    parser.add_argument("--gateway-port", type=int, default=9091, help="the first gateway's own port")
    parser.add_argument("--nginx", default=None, help="which nginx to run")
    parser.add_argument("--timeout", type=float, default=600.0, help="scale: seconds to wait until it is done")
    return parser


def _layout(arguments: argparse.Namespace, run_dir: Path) -> Layout:
    settings, gateway = load_settings(), load_gateway_settings()
    workers = 3 if arguments.workers is None else arguments.workers
    threads, replicas = settings.cpu_threads, settings.replicas
    if settings.device == "cpu" or not any(Path("/dev").glob("nvidia[0-9]*")):
        threads, replicas = share_of(available_cores(), workers, threads=threads, replicas=replicas)
    return Layout(
        root=ROOT,
        run_dir=run_dir,
        host=arguments.host,
        port=arguments.port,
        live_port=arguments.live_port,
        worker_port=arguments.worker_port,
        gateway_port=arguments.gateway_port,
        cpu_threads=threads,
        replicas=replicas,
        slots=settings.max_concurrent_transcriptions,
        queue=settings.max_queue_size,
        fail_fast=settings.fail_fast_when_busy,
        max_upload_bytes=settings.max_upload_bytes,
        shutdown_grace_s=settings.shutdown_grace_s,
        drain_grace_s=gateway.drain_grace_s,
        max_clients=gateway.max_clients,
        api_key=settings.keys[0] if settings.keys else "",
        model_size="demo" if arguments.demo and "model_size" not in settings.model_fields_set else "",
    )


async def _run(layout: Layout, arguments: argparse.Namespace) -> int:
    if len(os.fsencode(layout.control_socket)) > MAX_SOCKET_PATH_BYTES:
        raise StartupError(f"TMPDIR={layout.run_dir.parent}: too long a path for a unix socket: set a shorter TMPDIR")
    workers = 3 if arguments.workers is None else arguments.workers
    gateways = arguments.gateways or 0
    balancer = Balancer(layout, nginx=_find_nginx(arguments.nginx), environment=os.environ, show=_show)
    policy = SupervisorTimeouts(
        worker_grace_s=layout.shutdown_grace_s + KILL_AFTER_GRACE_S,
        gateway_grace_s=layout.drain_grace_s + KILL_AFTER_GRACE_S,
    )
    supervisor = Supervisor(layout, Reconciler(policy), balancer, environment=os.environ, show=_show)
    with locked(layout.run_dir):
        # A folder with taken ports may be in use by a cluster that knows no lock, or has lost it.
        supervisor.require_room(workers=workers, gateways=gateways)
        clear_folder(layout.run_dir)
        try:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, supervisor.signalled, number)
            async with await control.serve(layout.control_socket, supervisor):
                return await supervisor.run(
                    workers=workers, gateways=gateways, on_ready=lambda: _welcome(layout, supervisor)
                )
        finally:
            shutil.rmtree(layout.run_dir, ignore_errors=True)


def _find_nginx(wanted: str | None) -> str:
    found = shutil.which(wanted or "nginx") or (shutil.which(NGINX_ELSEWHERE) if wanted is None else None)
    if found is None:
        raise StartupError(f"{wanted or 'nginx'} was not found: install it (make packages), or name it with --nginx")
    return found


def _order(arguments: argparse.Namespace, path: Path) -> int:
    orders: list[dict[str, object]] = []
    if arguments.action == "status":
        orders.append({"order": "status"})
    workers = arguments.count if arguments.count is not None else arguments.workers
    if arguments.action == "scale" and workers is not None:
        orders.append({"order": "scale", "kind": "worker", "count": workers})
    if arguments.action == "scale" and arguments.gateways is not None:
        orders.append({"order": "scale", "kind": "gateway", "count": arguments.gateways})
    if not orders:
        raise StartupError("scale: say how many workers, or --gateways N")
    for order in orders:
        reply = control.ask(path, order, timeout_s=arguments.timeout)
        if "error" in reply:
            raise StartupError(str(reply["error"]))
    print(json.dumps(reply, indent=2))  # noqa: T201 - as above
    return 0


def _welcome(layout: Layout, supervisor: Supervisor) -> None:
    status = supervisor.status()
    url = layout.url
    _show(NAME, f"ready behind {url}: workers {status['workers']}, gateways {status['gateways']}")
    if layout.model_size:
        _show(NAME, "model: the bundled demo (synthetic voices only); for a real one: MODEL_SIZE=large-v3-turbo")
    _show(NAME, f"try:   curl {url}/v1/audio/transcriptions -F file=@tests/test_audio.wav -F model=whisper-1")


def _show(name: str, line: str) -> None:
    try:
        print(f"{name:<10} | {line}", flush=True)  # noqa: T201 - as above
    except BrokenPipeError:
        # Whoever read along has gone; the cluster serves on.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
