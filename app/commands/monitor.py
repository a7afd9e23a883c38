"""`python -m app monitor`: Prometheus and Alertmanager beside the local cluster, with the repository's rules.

Both are programs of their own (Debian: prometheus, prometheus-alertmanager; `make monitoring` installs them).
They run until Ctrl-C or SIGTERM. What they store stays for the next time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from app.cluster import control
from app.cluster.layout import TARGETS_NAME, run_dir_of
from app.cluster.monitor import NAME, Monitor
from app.cluster.monitor_config import MonitorLayout
from app.cluster.probe import any_free_port, port_is_free
from app.cluster.transcripts import LOOPBACK
from app.core.errors import StartupError

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "deploy" / "monitoring"
# Apart from 9090 and those that follow, which gateways use, and Debian's own services on 9090 and 9093.
PROMETHEUS_PORT = 9190
ALERTMANAGER_PORT = 9193
MAX_PORT = 65_535
ORDER_TIMEOUT_S = 10.0


def main(argv: Sequence[str]) -> int:
    """Watch a cluster until a signal; return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return asyncio.run(_run(_layout(arguments)))
    except StartupError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - the command's output
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app monitor",
        description="Watch the cluster on this machine with Prometheus and Alertmanager; docs/operations.md.",
    )
    parser.add_argument("--port", type=int, default=8083, help="public port of the cluster (default 8083)")
    parser.add_argument("--webhook", default="", metavar="URL", help="send alerts there (default: only show them)")
    parser.add_argument(
        "--prometheus-port",
        type=int,
        help=f"loopback port of Prometheus (default {PROMETHEUS_PORT}, or a free one if it is in use)",
    )
    parser.add_argument(
        "--alertmanager-port",
        type=int,
        help=f"loopback port of Alertmanager (default {ALERTMANAGER_PORT}, or a free one if it is in use)",
    )
    return parser


def _layout(arguments: argparse.Namespace) -> MonitorLayout:
    """Return what to run.

    Raises:
        StartupError: a program is missing, no cluster runs on that port, or an argument cannot be used.
    """
    if arguments.webhook and urlsplit(arguments.webhook).scheme not in {"http", "https"}:
        raise StartupError(f"--webhook {arguments.webhook} is no URL that begins with http:// or https://")
    prometheus, alertmanager = find_program("prometheus"), find_program("prometheus-alertmanager", "alertmanager")
    run_dir = run_dir_of(Path(tempfile.gettempdir()), user_id=os.getuid(), port=arguments.port)
    control.send(run_dir / "control.sock", {"order": "status"}, timeout_s=ORDER_TIMEOUT_S)
    targets = run_dir / TARGETS_NAME
    if not targets.exists():
        raise StartupError(f"{targets} does not exist: the cluster is of an older version; stop it and start it again")
    return MonitorLayout(
        files=FILES,
        data_dir=run_dir.with_name(f"{run_dir.name}-monitor"),
        targets=targets,
        prometheus=prometheus,
        alertmanager=alertmanager,
        prometheus_port=choose_port(arguments.prometheus_port, PROMETHEUS_PORT, "--prometheus-port"),
        alertmanager_port=choose_port(arguments.alertmanager_port, ALERTMANAGER_PORT, "--alertmanager-port"),
        webhook=arguments.webhook,
    )


def find_program(*names: str) -> str:
    """Return the first of these programs that is installed: Debian's name, then the project's own.

    Raises:
        StartupError: none is.
    """
    for name in names:
        if (found := shutil.which(name)) is not None:
            return found
    raise StartupError(
        f"{names[0]} was not found: run `make monitoring`, which installs it, or as root: "
        "apt-get install prometheus prometheus-alertmanager"
    )


def choose_port(wanted: int | None, default: int, option: str) -> int:
    """Return the wanted port, or the default, or a free port if the default is in use.

    Raises:
        StartupError: the wanted port is in use or is no port.
    """
    if wanted is None:
        return default if port_is_free(LOOPBACK, default) else any_free_port(LOOPBACK)
    if not 0 < wanted <= MAX_PORT:
        raise StartupError(f"{option} {wanted} is no port: use 1 to {MAX_PORT}")
    if not port_is_free(LOOPBACK, wanted):
        raise StartupError(f"{option} {wanted} is in use: stop what listens there, or choose another")
    return wanted


async def _run(layout: MonitorLayout) -> int:
    monitor = Monitor(layout, show_line=_show_line)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, monitor.stop)
    await monitor.run(on_ready=lambda: _show_ready(layout))
    return 0


def _show_ready(layout: MonitorLayout) -> None:
    _show_line(NAME, f"Prometheus:   {layout.prometheus_url} (alerts: {layout.prometheus_url}/alerts)")
    _show_line(NAME, f"Alertmanager: {layout.alertmanager_url}")
    # The rest of such a URL is often a secret.
    sent = f"are sent to {urlsplit(layout.webhook).hostname}" if layout.webhook else "are only shown (no --webhook)"
    _show_line(NAME, f"alerts {sent}")
    _show_line(NAME, f"what they store stays in {layout.data_dir}")


def _show_line(name: str, line: str) -> None:
    with suppress(OSError):  # nobody reads any more
        print(f"{name:<12} | {line}", flush=True)  # noqa: T201 - the command's output
