"""`python -m app cluster`: N workers behind one nginx on this machine, without containers.

- `python -m app cluster --workers 3 [--gateways 2] [--collector] [--port 8083]` runs until Ctrl-C;
- `python -m app cluster scale 5 [--gateways 3] [--port 8083]` changes a running one;
- `python -m app cluster status [--port 8083]` shows what runs, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from app.cluster import control, preflight, redis_server
from app.cluster.balancer import Balancer
from app.cluster.folder import clear_folder, locked
from app.cluster.layout import Layout, run_dir_of, share_of
from app.cluster.reconciler import Reconciler, SupervisorTimeouts
from app.cluster.supervisor import NAME, Supervisor
from app.cluster.transcripts import Transcripts
from app.commands import model_note
from app.core.errors import StartupError
from app.ops.addresses import authority, is_loopback
from app.ops.machine import available_cores
from app.settings.collector import load_collector_settings
from app.settings.gateway import load_gateway_settings
from app.settings.worker import load_settings

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_WORKERS = 3
BETTER_MODEL = "MODEL_SIZE=small make cluster"
NGINX_OUTSIDE_PATH = "/usr/sbin/nginx"  # on Debian an ordinary user's PATH does not hold it
MAX_SOCKET_PATH_BYTES = 103  # macOS; Linux allows 107
KILL_AFTER_GRACE_S = 5.0  # for a process to exit once its last answer has been sent


def main(argv: Sequence[str] | None = None) -> int:
    """Run, scale or show a cluster; return the exit code."""
    arguments = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # its encoding may lack a character of a member's line
    run_dir = run_dir_of(Path(tempfile.gettempdir()), user_id=os.getuid(), port=arguments.port)
    try:
        if arguments.action == "up":
            return asyncio.run(_run(_layout(arguments, run_dir), arguments))
        return _send_orders(arguments, run_dir / "control.sock")
    except StartupError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - the command's output
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app cluster", description="Several workers behind one nginx, without containers."
    )
    parser.add_argument(
        "action",
        nargs="?",
        default="up",
        choices=("up", "scale", "status"),
        help="up: run a cluster (default); scale: change a running one; status: show what runs, as JSON",
    )
    parser.add_argument("count", nargs="?", type=int, help="scale: the new number of workers")
    parser.add_argument("--workers", type=int, default=None, help="number of workers (default 3)")
    unset = parser.add_mutually_exclusive_group()
    unset.add_argument(
        "--local-model",
        action="store_true",
        help="unless MODEL_SIZE is set, use the best model that needs no download",
    )
    unset.add_argument("--demo", action="store_true", help="use the bundled demo model unless MODEL_SIZE is set")
    parser.add_argument(
        "--gateways", type=int, default=None, help="number of live gateways (default 0, or 1 with --collector)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="public address (default 127.0.0.1); 0.0.0.0 for every interface"
    )
    parser.add_argument("--port", type=int, default=8083, help="public port of transcription (default 8083)")
    parser.add_argument("--live-port", type=int, default=8990, help="public port of the live gateways (default 8990)")
    parser.add_argument(
        "--worker-port",
        type=int,
        default=8001,
        help="loopback port of the first worker (default 8001); the others follow",
    )
    parser.add_argument(
        "--gateway-port",
        type=int,
        default=9091,
        help="loopback port of the first gateway (default 9091); the others follow",
    )
    parser.add_argument(
        "--collector", action="store_true", help="store the text of live streams: runs a Redis and a collector"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=None,
        metavar="FOLDER",
        help="folder for what is stored (default: transcription-PORT in $XDG_DATA_HOME or ~/.local/share)",
    )
    parser.add_argument(
        "--collector-port", type=int, default=8123, help="loopback port of the collector (default 8123)"
    )
    parser.add_argument("--redis-port", type=int, default=6390, help="loopback port of Redis (default 6390)")
    parser.add_argument("--nginx", default=None, help="nginx executable (default: the one in PATH)")
    parser.add_argument(
        "--timeout", type=float, default=600.0, help="scale: seconds to wait for the result (default 600)"
    )
    return parser


def _layout(arguments: argparse.Namespace, run_dir: Path) -> Layout:
    settings, gateway = load_settings(), load_gateway_settings()
    workers = _wanted_workers(arguments)
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
        key_limits=bool(settings.api_keys_file),
        model_size="" if "model_size" in settings.model_fields_set else _model_size(arguments),
        transcripts=_transcripts(arguments) if arguments.collector and arguments.action == "up" else None,
        mtail=shutil.which("mtail") is not None,
    )


def _transcripts(arguments: argparse.Namespace) -> Transcripts:
    """Return where transcripts are stored; a Redis or a database that the settings name is used instead of an own one.

    Raises:
        StartupError: Redis is not installed, a setting is wrong, or others could read transcripts without a key.
    """
    settings = load_collector_settings()
    trusted = settings.trust_x_user_id and settings.internal_api_secret.get_secret_value()
    if not settings.keys and not trusted and not is_loopback(arguments.host):
        raise StartupError(
            f"--host {arguments.host} lets others read transcripts, and COLLECTOR_API_KEYS is empty: set a key, or "
            "listen on 127.0.0.1"
        )
    redis_url = settings.redis_url.get_secret_value()
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Transcripts(
        data_dir=(arguments.data or base / f"transcription-{arguments.port}").absolute(),
        collector_port=arguments.collector_port,
        redis_port=arguments.redis_port,
        redis_server="" if redis_url else redis_server.find(),
        redis_password=secrets.token_urlsafe(),
        redis_url=redis_url,
        database_url=settings.database_url.get_secret_value() if "database_url" in settings.model_fields_set else "",
        streams=(settings.redis_stream_name, settings.redis_speaker_events_stream_name),
        group=settings.redis_consumer_group,
    )


def _model_size(arguments: argparse.Namespace) -> str:
    """Return the workers' model where MODEL_SIZE is not set; "" leaves the choice to them."""
    if arguments.demo:
        return "demo"
    return _local_model() if arguments.local_model else ""


def _local_model() -> str:
    """Ask another process, because this one must not load the engine.

    Raises:
        StartupError: the device cannot be used.
    """
    done = subprocess.run(
        [sys.executable, "-m", "app", "models", "local"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise StartupError((done.stderr.strip().splitlines() or ["models local failed"])[-1].removeprefix("error: "))
    return done.stdout.strip()


def _wanted_workers(arguments: argparse.Namespace) -> int:
    return DEFAULT_WORKERS if arguments.workers is None else int(arguments.workers)


def wanted_gateways(arguments: argparse.Namespace) -> int:
    """How many live gateways to start; unless told otherwise, a collector gets one that it can store the text of."""
    return int(arguments.collector) if arguments.gateways is None else int(arguments.gateways)


async def _run(layout: Layout, arguments: argparse.Namespace) -> int:
    if len(os.fsencode(layout.control_socket)) > MAX_SOCKET_PATH_BYTES:
        raise StartupError(
            f"TMPDIR={layout.run_dir.parent}: the path is too long for a unix socket: set a shorter TMPDIR"
        )
    workers, gateways = _wanted_workers(arguments), wanted_gateways(arguments)
    balancer = Balancer(layout, nginx=_find_nginx(arguments.nginx), environment=os.environ, show_line=_show_line)
    timeouts = SupervisorTimeouts(
        worker_grace_s=layout.shutdown_grace_s + KILL_AFTER_GRACE_S,
        gateway_grace_s=layout.drain_grace_s + KILL_AFTER_GRACE_S,
    )
    supervisor = Supervisor(layout, Reconciler(timeouts), balancer, environment=os.environ, show_line=_show_line)
    stores = nullcontext() if layout.transcripts is None else redis_server.prepared(layout.transcripts)
    with locked(layout.run_dir), stores:
        # Before the folder is cleared: with its ports in use it may belong to a cluster that has lost its lock.
        preflight.check_start(layout, workers=workers, gateways=gateways)
        clear_folder(layout.run_dir)
        try:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, supervisor.handle_signal, number)
            async with await control.serve(layout.control_socket, supervisor):
                return await supervisor.run(
                    workers=workers,
                    gateways=gateways,
                    on_ready=lambda: _show_ready(layout, workers=workers, gateways=gateways),
                )
        finally:
            shutil.rmtree(layout.run_dir, ignore_errors=True)


def _find_nginx(wanted: str | None) -> str:
    found = shutil.which(wanted or "nginx") or (shutil.which(NGINX_OUTSIDE_PATH) if wanted is None else None)
    if found is None:
        raise StartupError(f"{wanted or 'nginx'} was not found: install it (make packages), or name it with --nginx")
    return found


def _send_orders(arguments: argparse.Namespace, path: Path) -> int:
    orders: list[dict[str, object]] = []
    if arguments.action == "status":
        orders.append({"order": "status"})
    workers = arguments.count if arguments.count is not None else arguments.workers
    if arguments.action == "scale" and workers is not None:
        orders.append({"order": "scale", "kind": "worker", "count": workers})
    if arguments.action == "scale" and arguments.gateways is not None:
        orders.append({"order": "scale", "kind": "gateway", "count": arguments.gateways})
    if not orders:
        raise StartupError("scale: give the number of workers, --gateways N, or both")
    for order in orders:
        reply = control.send(path, order, timeout_s=arguments.timeout)
        if "error" in reply:
            raise StartupError(str(reply["error"]))
    print(json.dumps(reply, indent=2))  # noqa: T201 - the command's output
    return 0


def _show_ready(layout: Layout, *, workers: int, gateways: int) -> None:
    url = layout.url
    _show_line(NAME, f"ready behind {url}: workers {workers}, gateways {gateways}")
    if gateways:
        _show_line(NAME, f"live audio:  ws://{authority(layout.loopback, layout.live_port)}")
    if layout.transcripts is not None:
        _show_line(NAME, f"transcripts: {url}/collector/, stored in {layout.transcripts.place}")
    if layout.mtail:
        _show_line(NAME, f"metrics:     addresses for Prometheus in {layout.targets_file}")
    else:
        _show_line(NAME, "metrics:     requests that nginx refuses are not counted: install mtail (make packages)")
    if layout.model_size:
        _show_line(NAME, model_note.describe(layout.model_size, better=BETTER_MODEL))
    _show_line(NAME, f"try:   curl {url}/v1/audio/transcriptions -F file=@tests/test_audio.wav -F model=whisper-1")


def _show_line(name: str, line: str) -> None:
    """Print a line of a process's output. A cluster serves on if its own output can no longer be written."""
    try:
        print(f"{name:<11} | {line}", flush=True)  # noqa: T201 - the command's output
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError:
        pass  # for example a full disk
